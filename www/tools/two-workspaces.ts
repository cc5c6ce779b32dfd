/**
 * Two workspaces on one page, for e2e/workspaces.e2e.mjs. Each has a storage of its own, or both the one that the address
 * names: `?storage=name`.
 */
import { Engine, WorkspaceStorage } from '../src/engine/index.js';
import '../src/page/loralet-app.js';
import '../src/page/page.css';
import { OpenNetwork } from '../src/ui/stores/network.js';
import { Workspace } from '../src/ui/workspace.js';

declare global {
  interface Window {
    workspaces: Record<string, Workspace>;
  }
}

const engine = new Engine();
const shared = new URLSearchParams(location.search).get('storage');

window.workspaces = {};
for (const name of ['left', 'right']) {
  const storage = new WorkspaceStorage(shared ?? name);
  const workspace = new Workspace({ engine, storage, network: new OpenNetwork() });
  window.workspaces[name] = workspace;
  const app = document.createElement('loralet-app');
  app.workspace = workspace;
  app.className = name;
  document.body.append(app);
  void workspace.start('cpu');
}
