import { LitElement, css, html } from 'lit';
import { customElement, property, state } from 'lit/decorators.js';
import { shared } from '../styles.js';

/** A place to drop files or a folder, or to choose them. Fires `files` with a File[]. */
@customElement('drop-zone')
export class DropZone extends LitElement {
  static override styles = [
    shared,
    css`
      .zone {
        padding: 20px;
        border: 1.5px dashed var(--line-strong);
        border-radius: var(--radius);
        background: var(--sunken);
        text-align: center;
      }
      .zone.over {
        border-color: var(--accent);
        background: var(--accent-soft);
      }
      .row {
        justify-content: center;
        margin-top: 10px;
      }
    `,
  ];
  @property() text = 'Drop a file here';
  @property() accept = '';
  @property({ type: Boolean }) folder = false;
  @property({ type: Boolean }) disabled = false;
  @state() private over = false;
  @state() private said = '';

  override render() {
    return html`<div
      class=${this.over ? 'zone over' : 'zone'}
      @dragover=${this.dragOver}
      @dragleave=${() => (this.over = false)}
      @drop=${this.drop}
    >
      <div>${this.text}</div>
      <div class="row">
        <button ?disabled=${this.disabled} @click=${() => this.input('file').click()}>Choose a file</button>
        ${
          this.folder
            ? html`<button ?disabled=${this.disabled} @click=${() => this.input('folder').click()}>
                Choose a folder
              </button>`
            : ''
        }
      </div>
      <input
        hidden
        type="file"
        name="file"
        aria-label=${this.text}
        accept=${this.accept}
        @change=${this.chosen}
      />
      <input hidden type="file" name="folder" aria-label="Folder" webkitdirectory @change=${this.chosen} />
      <div role="status" class="small">${this.said}</div>
    </div>`;
  }

  private input(name: 'file' | 'folder'): HTMLInputElement {
    return this.renderRoot.querySelector(`input[name=${name}]`) as HTMLInputElement;
  }

  private chosen(event: Event): void {
    const input = event.target as HTMLInputElement;
    this.give([...(input.files ?? [])]);
    input.value = '';
  }

  private dragOver(event: DragEvent): void {
    event.preventDefault();
    this.over = !this.disabled;
  }

  private async drop(event: DragEvent): Promise<void> {
    event.preventDefault();
    this.over = false;
    // Entries must be taken before the first await; the browser empties the list after it.
    const entries = [...(event.dataTransfer?.items ?? [])].map((item) => item.webkitGetAsEntry());
    const files = await Promise.all(entries.map((entry) => (entry ? filesOf(entry) : [])));
    this.give(files.flat());
  }

  private give(files: File[]): void {
    const [first] = files;
    if (!first) return;
    this.said = this.disabled
      ? `${first.name} was not taken, because something else is being read or trained; give it again after that.`
      : '';
    if (!this.disabled) this.dispatchEvent(new CustomEvent('files', { detail: files }));
  }
}

/** A dropped file, or the files that lie directly in a dropped folder. */
async function filesOf(entry: FileSystemEntry): Promise<File[]> {
  if (entry.isFile) return [await fileOf(entry as FileSystemFileEntry)];
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const files: File[] = [];
  for (;;) {
    const entries = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    );
    if (entries.length === 0) return files;
    for (const inner of entries) if (inner.isFile) files.push(await fileOf(inner as FileSystemFileEntry));
  }
}

function fileOf(entry: FileSystemFileEntry): Promise<File> {
  return new Promise((resolve, reject) => entry.file(resolve, reject));
}
