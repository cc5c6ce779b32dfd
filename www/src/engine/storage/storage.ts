import { Checkpoints } from './checkpoints.js';
import { Folders, NoFolders } from './files.js';
import { Locks } from './locks.js';
import { ModelStorage } from './models.js';
import { PickStorage } from './picks.js';
import { RunStorage } from './runs.js';

/** What storage is for beside the page's own begins with this, so that it is in nobody's way on a site of others. */
const PREFIX = 'loralet';

/**
 * What a workspace keeps on this device. Two of the same name, in two tabs or on one page, share it and keep out of each
 * other's way; two of different names share models and nothing else.
 */
export class WorkspaceStorage {
  readonly models: ModelStorage;
  readonly checkpoints: Checkpoints;
  readonly runs: RunStorage;
  readonly picks: PickStorage;

  /** `name`: null for the storage of the page itself. Without `keepsRuns` only models are kept. */
  constructor(name: string | null = null, { keepsRuns = true }: { keepsRuns?: boolean } = {}) {
    const shared = name === null ? [] : [PREFIX];
    const own = name === null ? [] : [PREFIX, 'workspaces', encodeURIComponent(name)];
    const locks = locksOf(own);
    const folders = keepsRuns ? new Folders(own) : new NoFolders();
    this.models = new ModelStorage(new Folders(shared), locksOf(shared));
    this.checkpoints = new Checkpoints(folders, locks);
    this.runs = new RunStorage(folders);
    this.picks = new PickStorage(folders, locks);
  }
}

function locksOf(place: string[]): Locks {
  return new Locks(['loralet ', ...place.map((part) => `${part}/`)].join(''));
}
