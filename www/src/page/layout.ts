/**
 * Where things are: from 1100 px on three columns, of which only the middle one scrolls; below that the list of views is a row
 * under the header, and on a phone a bar at the bottom. The run is a strip at the bottom of both.
 */
import { css } from 'lit';

export const layout = css`
  :host {
    --bar: 56px;
    --strip: 56px;
    --row: 56px;
  }
  header {
    position: sticky;
    top: 0;
    z-index: 5;
    border-bottom: 1px solid var(--line);
    background: color-mix(in srgb, var(--paper) 92%, transparent);
    backdrop-filter: blur(10px);
  }
  .bar,
  .studio {
    max-width: 1480px;
    margin: 0 auto;
    padding: 0 24px;
  }
  .bar {
    display: flex;
    align-items: center;
    gap: 10px;
    height: var(--bar);
  }
  h1 {
    display: flex;
    align-items: center;
    gap: 10px;
    margin: 0 auto 0 0;
    font-weight: 700;
    font-size: 1.1rem;
    letter-spacing: -0.01em;
  }
  .studio {
    display: grid;
    grid-template-columns: 208px minmax(0, 880px) 296px;
    gap: 28px;
    justify-content: center;
    align-items: start;
  }
  view-rail,
  aside {
    position: sticky;
    top: calc(var(--bar) + 24px);
    max-height: calc(100vh - var(--bar) - 40px);
    margin: 0 -4px;
    padding: 4px;
    overflow: auto;
  }
  main {
    min-width: 0;
    padding: 24px 0 96px;
  }
  main:focus,
  aside:focus,
  section:focus {
    outline: none;
  }
  .welcome {
    margin-bottom: 28px;
  }
  .welcome p {
    max-width: 62ch;
    color: var(--muted);
    font-size: 1.03rem;
  }
  .welcome .claim {
    max-width: none;
    margin: 0 0 8px;
    color: var(--ink);
    font-weight: 700;
    font-size: clamp(1.5rem, 3.4vw, 2.1rem);
    line-height: 1.15;
    letter-spacing: -0.025em;
    text-wrap: balance;
  }
  section[hidden] {
    display: none;
  }
  h2 {
    margin: 0;
    font-size: 1.35rem;
    letter-spacing: -0.015em;
    line-height: 1.3;
  }
  .title {
    display: flex;
    justify-content: space-between;
    align-items: center;
    gap: 12px;
    min-height: 36px;
  }
  .title button {
    border-color: var(--accent);
    color: var(--accent);
  }
  .lead {
    margin: 2px 0 16px;
    color: var(--muted);
  }
  .card {
    padding: 22px 24px;
    border: 1px solid var(--line);
    border-radius: var(--radius);
    background: var(--card);
  }
  .card + .card {
    margin-top: 16px;
  }
  .card h3 {
    margin: 0;
    font-size: 1.05rem;
  }
  resume-banner {
    --banner-margin: 0 0 20px;
  }
  footer {
    margin-top: 24px;
    color: var(--muted);
    font-size: 0.86rem;
  }
  @media (max-width: 1099px) {
    .bar {
      padding: 0 20px;
    }
    .studio {
      display: block;
      padding: 0 20px;
    }
    view-rail {
      top: var(--bar);
      z-index: 4;
      max-height: none;
      margin: 0 -20px;
      padding: 4px 16px;
      border-bottom: 1px solid var(--line);
      background: var(--paper);
      overflow: visible;
    }
    main {
      max-width: 880px;
      margin: 0 auto;
      padding-bottom: calc(var(--strip) + 48px);
    }
    aside {
      position: fixed;
      inset: auto 0 0;
      z-index: 4;
      height: var(--strip);
      max-height: none;
      margin: 0;
      padding: 0;
      border-top: 1px solid var(--line);
      background: var(--paper);
      overflow: visible;
    }
    aside.empty {
      display: none;
    }
  }
  @media (max-width: 699px) {
    .bar {
      padding: 0 12px;
    }
    .studio {
      padding: 0 12px;
    }
    main {
      padding: 18px 0 calc(var(--row) + var(--strip) + 32px);
    }
    view-rail {
      position: fixed;
      inset: auto 0 0;
      height: calc(var(--row) + env(safe-area-inset-bottom));
      margin: 0;
      padding: 2px 4px calc(2px + env(safe-area-inset-bottom));
      border-top: 1px solid var(--line);
      border-bottom: 0;
    }
    aside {
      bottom: calc(var(--row) + env(safe-area-inset-bottom));
    }
    .card {
      padding: 16px 14px;
    }
  }
  @media (max-height: 420px) {
    header,
    aside {
      position: static;
    }
    aside {
      margin-bottom: 72px;
    }
    main {
      padding-bottom: 24px;
    }
  }
`;
