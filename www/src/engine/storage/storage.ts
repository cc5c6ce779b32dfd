import { Checkpoints } from './checkpoints.js';
import { Folders } from './files.js';
import { Locks } from './locks.js';
import { ModelStorage } from './models.js';
import { PickStorage } from './picks.js';
import { RunStorage } from './runs.js';

/**
 * What a workspace keeps on this device. Two of the same name, in two tabs or on one page, share it and keep out of each
 * other's way; two of different names share nothing.
 */
export class WorkspaceStorage {
  readonly models: ModelStorage;
  readonly checkpoints: Checkpoints;
  readonly runs: RunStorage;
  readonly picks: PickStorage;

  /** `name`: null for the storage of the page itself. */
  constructor(readonly name: string | null = null) {
    const place = name === null ? [] : ['workspaces', encodeURIComponent(name)];
    const folders = new Folders(place);
    const locks = new Locks(['loralet ', ...place.map((part) => `${part}/`)].join(''));
    this.models = new ModelStorage(folders, locks);
    this.checkpoints = new Checkpoints(folders, locks);
    this.runs = new RunStorage(folders);
    this.picks = new PickStorage(folders, locks);
  }
}
