import '../page/page.css';
import { Engine, WorkspaceStorage } from '../engine/index.js';
import { keepFocus } from '../page/focus.js';
import { KeptNetwork } from '../page/offline.js';
import { offerUpdates } from '../page/update-notice.js';
import { Workspace } from '../ui/workspace.js';
import { Lab } from './lab.js';
import './lessons-app.js';
import { en } from './words/en.js';

// The lessons' runs are not among those of the studio.
const storage = new WorkspaceStorage('lessons');
const network = new KeptNetwork();
const workspace = new Workspace({ engine: new Engine(), storage, network });
const app = document.createElement('lessons-app');
app.lab = new Lab(workspace);
app.words = en;
app.shelf = localStorage;
document.documentElement.lang = en.language;
document.body.prepend(app);
offerUpdates(network, workspace);
keepFocus();
