/** Lets Node.js run the page's TypeScript: `node --import ./test/typescript.mjs`. */
import { register } from 'node:module';

register('./typescript-hooks.mjs', import.meta.url);
