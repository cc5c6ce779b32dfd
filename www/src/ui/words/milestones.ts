/** What is told of something that advances: now and then, so that a screen reader is not talked over. */

const LEAST_SECONDS_APART = 5;
const MOST_SECONDS_APART = 30;
const STEP = 0.1;

export class Milestones {
  private text = '';
  private share = 0;
  private topic = '';
  private at = Number.NEGATIVE_INFINITY;

  /**
   * The words as they were last told: they are new with another topic, at each tenth of the way and every half
   * minute, and otherwise at least five seconds apart.
   *
   * @param share How far it is, from 0 to 1.
   */
  tell(topic: string, share: number, text: string, now = performance.now()): string {
    const apart = (now - this.at) / 1000;
    const isDue = apart >= MOST_SECONDS_APART || share - this.share >= STEP;
    if (topic !== this.topic || share < this.share || (isDue && apart >= LEAST_SECONDS_APART)) {
      Object.assign(this, { topic, share, text, at: now });
    }
    return this.text;
  }

  /** What comes next is told at once. */
  reset(): void {
    this.topic = '';
  }
}
