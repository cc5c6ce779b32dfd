/** What `import … from 'loralet'` has: the engine, without any interface. */
export * from '../engine/index.js';
export { Engine as Loralet } from '../engine/index.js';
