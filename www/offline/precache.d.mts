import type { Plugin } from 'vite';

export function writeServiceWorker(folder: string): Promise<string>;
export function serviceWorker(): Plugin;
