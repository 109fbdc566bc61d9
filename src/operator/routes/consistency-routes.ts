import type { FastifyInstance } from 'fastify';
import type { ServiceName } from '../../domain/ids.ts';
import { dateOf, spanOf } from '../report/calendar-day.ts';
import { ENDPOINTS } from '../api/endpoints.ts';
import type { Consistency, ShownConsistency } from '../api/history.ts';
import { serve } from './serve.ts';

/** Comparisons with a verdict, and how many of them differ. */
interface Compared {
  readonly service: ServiceName;
  readonly compared: number;
  readonly differ: number;
}

export interface ConsistencyRouteParts {
  readonly services: readonly ServiceName[];
  /** The zone in which a day begins at midnight. */
  readonly zone: string;
  /** Over all replicas, from the journal. @throws StorageError */
  comparedSince(fromMs: number): Promise<readonly Compared[]>;
  readonly nowMs: () => number;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
/** Replicas store their minutes every five seconds. */
const HOUR_KEPT_MS = 5_000;
/** A day has many rows, so pages share one sum for this long. */
const DAY_KEPT_MS = 60_000;

/** The consistency of answers over windows that no restart shortens. */
export function registerConsistencyRoutes(app: FastifyInstance, parts: ConsistencyRouteParts): void {
  const { zone, services, nowMs } = parts;
  const lastHour = new Window(parts, HOUR_KEPT_MS, () => minuteOf(nowMs() - HOUR_MS));
  const today = new Window(parts, DAY_KEPT_MS, () => spanOf(dateOf(nowMs(), zone), zone).fromMs);
  serve(app, ENDPOINTS.showConsistency, async () => {
    const [hour, day] = [await lastHour.read(), await today.read()];
    const shown = services.map((service) => [service, { last_hour: hour(service), today: day(service) }]);
    return { zone, services: Object.fromEntries(shown) as ShownConsistency['services'] };
  });
}

const minuteOf = (atMs: number): number => Math.floor(atMs / MINUTE_MS) * MINUTE_MS;

type Read = (service: ServiceName) => Consistency;

/** One window. It is read from the journal at most this often, by one query at a time. */
class Window {
  readonly #parts: ConsistencyRouteParts;
  readonly #keptMs: number;
  readonly #fromMs: () => number;
  #kept: { readonly atMs: number; readonly read: Promise<Read> } | undefined;

  constructor(parts: ConsistencyRouteParts, keptMs: number, fromMs: () => number) {
    this.#parts = parts;
    this.#keptMs = keptMs;
    this.#fromMs = fromMs;
  }

  read(): Promise<Read> {
    const nowMs = this.#parts.nowMs();
    if (this.#kept !== undefined && Math.abs(nowMs - this.#kept.atMs) < this.#keptMs) return this.#kept.read;
    const read = this.#ask();
    this.#kept = { atMs: nowMs, read };
    // A failed read is tried again at the next request.
    read.catch(() => (this.#kept = undefined));
    return read;
  }

  async #ask(): Promise<Read> {
    const fromMs = this.#fromMs();
    const from = new Date(fromMs).toISOString();
    const found = await this.#parts.comparedSince(fromMs);
    return (service) => {
      const { compared = 0, differ = 0 } = found.find((one) => one.service === service) ?? {};
      return { from, compared, differ };
    };
  }
}
