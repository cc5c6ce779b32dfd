/**
 * Keeps the keyboard's place. A control that is switched off or taken away while it has the focus would drop it, and
 * the next Tab would begin at the top of the page. So the focus goes to what the control stands in, and back to it
 * when it works again and nobody has gone elsewhere meanwhile.
 */
export function keepFocus(): void {
  let place: Place | null = null;

  const check = () => {
    if (!place) return;
    const { control, refuge } = place;
    const now = focused();
    const works = control.isConnected && !control.matches(':disabled') && control.checkVisibility();
    if (refuge) {
      if (now !== refuge && now !== null) place = null;
      else if (works && now === refuge) {
        place.refuge = null;
        control.focus({ preventScroll: true });
      }
    } else if (!works && (now === control || now === null)) {
      const next = place.around.find(
        (element) => element.isConnected && element.hasAttribute('tabindex') && element.checkVisibility(),
      );
      place.refuge = next ?? null;
      next?.focus({ preventScroll: true });
    }
  };
  const watch = new MutationObserver(check);

  // A move inside a shadow tree is not heard outside of it, so each tree that the focus has been in is listened to.
  const heard = new WeakSet<Node>();
  const hear = (target: Node) => {
    if (heard.has(target)) return;
    heard.add(target);
    target.addEventListener('focusin', enter);
  };
  const enter = (event: Event) => {
    const control = event.composedPath()[0];
    if (!(control instanceof HTMLElement)) return;
    const around = ancestors(control);
    const roots = new Set([control, ...around].map((element) => element.getRootNode()));
    roots.forEach(hear);
    if (control === place?.refuge || control === place?.control) return;
    place = { control, around, refuge: null };
    watch.disconnect();
    const attributeFilter = ['disabled', 'hidden', 'open'];
    for (const root of roots)
      watch.observe(root, { subtree: true, childList: true, attributes: true, attributeFilter });
  };
  hear(document);

  // Who leaves a control that works has gone elsewhere.
  window.addEventListener('focusout', () => {
    const left = place;
    queueMicrotask(() => {
      const stays = left?.control.isConnected && !left.control.matches(':disabled');
      if (left === place && stays && !left?.refuge && focused() === null && document.hasFocus()) place = null;
    });
  });
}

interface Place {
  control: HTMLElement;
  /** What the control stands in, from the inside out. */
  around: HTMLElement[];
  /** Where the focus went from a control that does not work. */
  refuge: HTMLElement | null;
}

/** From the inside out, through all shadow trees. */
function ancestors(element: Element): HTMLElement[] {
  const root = element.getRootNode();
  const next = element.parentElement ?? (root instanceof ShadowRoot ? root.host : null);
  return next instanceof HTMLElement ? [next, ...ancestors(next)] : [];
}

/** The element that has the focus, through all shadow trees; null where none has. */
function focused(): Element | null {
  let element = document.activeElement;
  while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
  return element === document.body ? null : element;
}
