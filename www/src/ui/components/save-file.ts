/** Hands a file to the person, as a download. */
export function saveFile(host: HTMLElement, name: string, content: Blob): void {
  const link = host.ownerDocument.createElement('a');
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
