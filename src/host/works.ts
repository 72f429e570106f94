import { Refused } from '../machine/refused.ts';
import { Turns } from '../turns.ts';

/** The long works under way for requests: replays, comparisons, snapshots, long lists. Each has an owner and an end. */
export class Works {
  private readonly underway = new Set<Turns>();

  /**
   * @param most how many at once
   * @param seconds how long each may be at work in all its turns together
   */
  constructor(
    private readonly most: number,
    private readonly seconds: number,
  ) {}

  /** How many there are. */
  get count(): number {
    return this.underway.size;
  }

  /**
   * Begins one; it is to be ended.
   *
   * @throws Refused where there are as many as there may be
   */
  begin(): Turns {
    if (this.underway.size >= this.most) throw Refused.tooMany('long requests under way', this.most);
    const { seconds } = this;
    const work = new Turns(seconds * 1000, () =>
      Refused.tooLarge(`the request takes more than ${seconds} s of work`),
    );
    this.underway.add(work);
    return work;
  }

  end(work: Turns): void {
    this.underway.delete(work);
  }

  /** Stops all of them, at their next turn. */
  stop(why: string): void {
    for (const work of this.underway)
      work.stop(new Refused('abandoned', `the request was under way when ${why}`));
  }
}
