import type { EventName } from '../../src/engine/ports/events.ts';

/** Where a round is: lanes move to the orchestrator, or return to legacy. */
export type Phase = 'moving' | 'returning';

interface Point {
  readonly event: EventName;
  readonly during: Phase;
}

/** The crash points of a lane whose writes move: src/engine/README.md, "Moving the writes of a lane". */
export const LANE_POINTS = {
  K1: { event: 'flip:announced', during: 'moving' },
  K2: { event: 'flip:draining', during: 'moving' },
  K3: { event: 'flip:drained', during: 'moving' },
  K4: { event: 'flip:committed', during: 'moving' },
  K5: { event: 'lane:flipped', during: 'moving' },
  K6: { event: 'flip:comparing', during: 'moving' },
  K7: { event: 'return:announced', during: 'returning' },
  K8: { event: 'return:draining', during: 'returning' },
  K9: { event: 'return:committing', during: 'returning' },
  K10: { event: 'lane:returned', during: 'returning' },
  K11: { event: 'reverse:begun', during: 'moving' },
  K12: { event: 'reverse:answered', during: 'moving' },
} as const satisfies Readonly<Record<string, Point>>;

/** Those of the end of a service's migration. */
export const END_POINTS = {
  K13: 'service:read_only',
  K14: 'service:completed',
} as const satisfies Readonly<Record<string, EventName>>;

export type LanePoint = keyof typeof LANE_POINTS;
type PointName = LanePoint | keyof typeof END_POINTS;

/** How often each crash point was waited for, and how often a process was killed there. */
export class PointBook {
  readonly #dealt = new Set<PointName>();
  readonly #hits = new Map<PointName, number>();

  deal(point: PointName): void {
    this.#dealt.add(point);
  }

  hit(point: PointName): void {
    this.#hits.set(point, (this.#hits.get(point) ?? 0) + 1);
  }

  get hits(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#hits);
  }

  /** Points that were waited for, and at which no process was ever killed. */
  get missed(): readonly PointName[] {
    return [...this.#dealt].filter((point) => !this.#hits.has(point));
  }
}
