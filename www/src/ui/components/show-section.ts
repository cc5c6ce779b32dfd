/** Asks whatever is around a component to show the view of this name. */
export function showSection(host: HTMLElement, name: string): void {
  host.dispatchEvent(new CustomEvent('show-section', { detail: name, bubbles: true, composed: true }));
}
