import './page.css';
import './loralet-app.js';
import { Engine, WorkspaceStorage, type DeviceChoice } from '../engine/index.js';
import { Workspace } from '../ui/workspace.js';
import { keepFocus } from './focus.js';
import { KeptNetwork } from './offline.js';
import { offerUpdates } from './update-notice.js';

const network = new KeptNetwork();
const workspace = new Workspace({ engine: new Engine(), storage: new WorkspaceStorage(), network });
const app = document.createElement('loralet-app');
app.workspace = workspace;
document.body.prepend(app);
offerUpdates(network, workspace);
keepFocus();
askBeforeLeaving();
void start();

async function start(): Promise<void> {
  await workspace.start(deviceFromAddress());
  const pending = network.takePending();
  const bundled = workspace.model.bundled.find((candidate) => candidate.name === pending);
  if (bundled) await workspace.useModel(workspace.model.openBundled(bundled));
}

/** While a run goes on, or what came of it is not in storage, the browser asks before the page is left. */
function askBeforeLeaving(): void {
  window.addEventListener('beforeunload', (event) => {
    const { active, isKept, last, state } = workspace.training;
    if (last !== null && state !== 'failed' && (active || !isKept)) event.preventDefault();
  });
}

/** `?device=cpu` or `?device=webgpu` in the address chooses the device from the start. */
function deviceFromAddress(): DeviceChoice {
  const asked = new URLSearchParams(location.search).get('device');
  return asked === 'cpu' || asked === 'webgpu' ? asked : 'auto';
}
