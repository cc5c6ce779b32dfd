/** Draws the card of a lesson: always on light paper, as it may be printed. */
import type { StepReport } from '../engine/index.js';

export interface Card {
  title: string;
  pupil: string;
  /** A sentence a step. */
  found: string[];
  guessed: string;
  made: string;
  reports: StepReport[];
}

/** In the canvas' own pixels, 1200 by 900. */
const MARGIN = 72;
const CHART = { top: 572, height: 208 };
const PAPER = '#f7f6f3';
const INK = '#1b1d24';
const MUTED = '#5f636e';
const LINE = '#d9d5cc';
const ACCENT = '#4a43d1';
const SECOND = '#b9540a';
const SANS = 'system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif';

export function drawCard(canvas: HTMLCanvasElement, card: Card): void {
  const context = canvas.getContext('2d');
  if (!context) return;
  const { width, height } = canvas;
  context.fillStyle = PAPER;
  context.fillRect(0, 0, width, height);
  context.fillStyle = ACCENT;
  context.fillRect(0, 0, width, 10);
  context.textBaseline = 'alphabetic';

  write(context, card.title, MARGIN, 104, `700 50px ${SANS}`, INK);
  if (card.pupil) {
    context.textAlign = 'right';
    write(context, card.pupil, width - MARGIN, 104, `600 30px ${SANS}`, MUTED);
    context.textAlign = 'left';
  }
  let y = 164;
  for (const sentence of card.found) {
    context.fillStyle = ACCENT;
    context.beginPath();
    context.arc(MARGIN + 6, y - 9, 5, 0, 2 * Math.PI);
    context.fill();
    y = paragraph(context, sentence, MARGIN + 32, y, width - 2 * MARGIN - 32, `400 26px ${SANS}`, 34) + 12;
  }
  curve(context, card.reports, width);
  write(context, card.guessed, MARGIN, height - 44, `600 24px ${SANS}`, INK);
  context.textAlign = 'right';
  write(context, card.made, width - MARGIN, height - 44, `400 22px ${SANS}`, MUTED);
  context.textAlign = 'left';
}

function write(
  at: CanvasRenderingContext2D,
  text: string,
  x: number,
  y: number,
  font: string,
  color: string,
): void {
  at.font = font;
  at.fillStyle = color;
  at.fillText(text, x, y);
}

/** Writes in lines; answers where the next would stand. */
function paragraph(
  at: CanvasRenderingContext2D,
  text: string,
  x: number,
  y: number,
  room: number,
  font: string,
  lineHeight: number,
): number {
  at.font = font;
  let line = '';
  for (const word of text.split(' ')) {
    const longer = line ? `${line} ${word}` : word;
    if (line && at.measureText(longer).width > room) {
      write(at, line, x, y, font, INK);
      y += lineHeight;
      line = word;
    } else line = longer;
  }
  write(at, line, x, y, font, INK);
  return y + lineHeight;
}

/** The training loss, and with it the validation loss where there is one. */
function curve(at: CanvasRenderingContext2D, reports: StepReport[], width: number): void {
  const last = reports.at(-1);
  if (!last) return;
  const left = MARGIN + 56;
  const right = width - MARGIN - 120;
  const validated = reports.flatMap(({ step, evaluation }) =>
    evaluation ? [{ step, loss: evaluation.loss }] : [],
  );
  const most = Math.max(...reports.map(({ loss }) => loss), ...validated.map(({ loss }) => loss));
  const x = (step: number) => left + ((right - left) * step) / last.step;
  const y = (loss: number) => CHART.top + CHART.height * (1 - loss / most);
  at.strokeStyle = LINE;
  at.lineWidth = 1.5;
  for (const share of [0, 0.5, 1]) {
    at.beginPath();
    at.moveTo(left, y(share * most));
    at.lineTo(right, y(share * most));
    at.stroke();
    at.textAlign = 'right';
    write(at, (share * most).toFixed(1), left - 12, y(share * most) + 7, `400 20px ${SANS}`, MUTED);
  }
  at.textAlign = 'left';
  line(at, reports, ACCENT, x, y);
  write(at, 'loss', right + 12, y(last.loss) + 7, `600 20px ${SANS}`, ACCENT);
  const end = validated.at(-1);
  if (!end) return;
  line(at, validated, SECOND, x, y);
  write(at, 'held out', right + 12, y(end.loss) + 7, `600 20px ${SANS}`, SECOND);
}

function line(
  at: CanvasRenderingContext2D,
  points: { step: number; loss: number }[],
  color: string,
  x: (step: number) => number,
  y: (loss: number) => number,
): void {
  at.strokeStyle = color;
  at.lineWidth = 4;
  at.lineJoin = 'round';
  at.beginPath();
  for (const { step, loss } of points) at.lineTo(x(step), y(loss));
  at.stroke();
}
