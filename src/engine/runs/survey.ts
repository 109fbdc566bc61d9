import { type Owner, sessionIdOf } from '../../domain/ids.ts';
import { encodeJson } from '../../domain/json.ts';
import type { Retention } from '../../domain/retention.ts';
import type { LegacyItem, LegacyLane } from '../../domain/service-definition.ts';
import { canonicalFields } from '../items/copy-plan.ts';
import type { ServiceRuntime } from '../ports/service-runtime.ts';
import { ItemTurns } from './item-turns.ts';
import { type LegacyReading, listOwners, readLegacyLanes } from './legacy-lanes.ts';
import type { ListedLane } from './run-work.ts';

/** Lanes that are read together. */
const LANES_PER_READING = 200;
/** The orchestrator refuses longer items. */
const CONTENT_BYTES = 1024 * 1024;
/** Time of the built-in model for one sentence, milliseconds (measured). */
const EMBEDDING_MS = 18;
const EXAMPLES = 10;
const NUL = '\u0000';

/** Something that a person should know before anything is written: how often, and the first owners. */
interface Concern {
  count: number;
  readonly owners: string[];
}

type ConcernName =
  | 'unreadable'
  | 'oversize_items'
  | 'escaped_items'
  | 'shortened_ids'
  | 'repeated_items'
  | 'about_to_be_forgotten'
  | 'times_going_backwards'
  | 'unknown_times';

/** What the store of a service holds before anything is copied. */
export interface Survey {
  /** Where the owners come from. */
  readonly owners_from: 'store' | 'journal';
  readonly lanes: number;
  readonly items: number;
  readonly content_bytes: number;
  readonly newest_at: string | null;
  /** `unreadable` lanes and `oversize_items` are left out. The others are copied. */
  readonly concerns: Readonly<
    Record<ConcernName, { readonly count: number; readonly owners: readonly string[] }>
  >;
  /** Items that no lane shows. */
  readonly strays: Readonly<Record<string, number>>;
  readonly to_embed: { readonly items: number; readonly seconds_with_the_built_in_model: number };
}

interface SurveyParts {
  readonly nowMs: number;
  /** Only this owner's lane. */
  readonly only?: Owner | undefined;
  /** Owners of lanes in the journal. The store may not show them any more, or cannot be listed. */
  readonly journaled: AsyncIterable<readonly Owner[]>;
}

/** Reads everything that a service holds, page by page, and writes nothing. Lanes come with the time of their newest item. */
export async function* surveyService(
  service: ServiceRuntime,
  { nowMs, only, journaled }: SurveyParts,
): AsyncGenerator<readonly ListedLane[], Survey> {
  const { lanes } = service.definition;
  const surveyor = new Surveyor(service, nowMs);
  const listed = await listOwners(service);
  for await (const owners of listed ?? [])
    for (const some of readTogether(owners, only))
      yield surveyor.addAll(await readLegacyLanes(service, some));
  // The store has already listed those that it shows.
  const isNew = (reading: LegacyReading): boolean =>
    listed === undefined || ('lane' in reading && !reading.lane.exists);
  for await (const owners of journaled)
    for (const some of readTogether(owners, only)) {
      const readings = await readLegacyLanes(service, some);
      yield surveyor.addAll(new Map([...readings].filter(([, reading]) => isNew(reading))));
    }
  const strays = only === undefined ? ((await lanes.strays?.(service.access)) ?? {}) : {};
  return surveyor.survey(listed === undefined ? 'journal' : 'store', strays);
}

function readTogether(owners: readonly Owner[], only: Owner | undefined): Owner[][] {
  const asked = owners.filter((owner) => owner === (only ?? owner));
  return Array.from({ length: Math.ceil(asked.length / LANES_PER_READING) }, (_, page) =>
    asked.slice(page * LANES_PER_READING, (page + 1) * LANES_PER_READING),
  );
}

class Surveyor {
  readonly #service: ServiceRuntime;
  readonly #nowMs: number;
  #newestAtMs = Number.NEGATIVE_INFINITY;
  readonly #concerns: Readonly<Record<ConcernName, Concern>> = {
    unreadable: { count: 0, owners: [] },
    oversize_items: { count: 0, owners: [] },
    escaped_items: { count: 0, owners: [] },
    shortened_ids: { count: 0, owners: [] },
    repeated_items: { count: 0, owners: [] },
    about_to_be_forgotten: { count: 0, owners: [] },
    times_going_backwards: { count: 0, owners: [] },
    unknown_times: { count: 0, owners: [] },
  };
  #lanes = 0;
  #items = 0;
  #bytes = 0;

  constructor(service: ServiceRuntime, nowMs: number) {
    this.#service = service;
    this.#nowMs = nowMs;
  }

  async addAll(readings: ReadonlyMap<Owner, LegacyReading>): Promise<ListedLane[]> {
    const turns = new ItemTurns();
    const lanes: ListedLane[] = [];
    for (const [owner, reading] of readings) {
      lanes.push(this.#add(owner, reading));
      if ('lane' in reading) await turns.after(reading.lane.items.length);
    }
    return lanes;
  }

  #add(owner: Owner, reading: LegacyReading): ListedLane {
    this.#lanes += 1;
    if ('problem' in reading) {
      this.#concern('unreadable', owner);
      return { owner };
    }
    const newestAtMs = newestOf(reading.lane);
    if (reading.lane.exists) this.#addLane(owner, reading.lane, newestAtMs);
    if (!Number.isFinite(newestAtMs)) return { owner };
    this.#newestAtMs = Math.max(this.#newestAtMs, newestAtMs);
    return { owner, newestAtMs };
  }

  #addLane(owner: Owner, lane: LegacyLane, newest: number): void {
    const { sessionPrefix, retention } = this.#service.definition.lanes;
    if (sessionIdOf(sessionPrefix, owner) !== plainIdOf(sessionPrefix, owner))
      this.#concern('shortened_ids', owner);
    if (isExpired(retention, newest, this.#nowMs)) this.#concern('about_to_be_forgotten', owner);
    if (lane.session?.isTimeUnknown === true) this.#concern('unknown_times', owner);
    this.#addItems(owner, lane.items);
  }

  #addItems(owner: Owner, items: readonly LegacyItem[]): void {
    this.#items += items.length;
    let before = Number.NEGATIVE_INFINITY;
    const seen = new Set<string>();
    for (const item of items) {
      const content = encodeJson(this.#service.definition.lanes.createPayload(item, owner)['content']);
      const bytes = Buffer.byteLength(content);
      this.#bytes += bytes;
      if (bytes > CONTENT_BYTES) this.#concern('oversize_items', owner);
      if (isUnstorable(content)) this.#concern('escaped_items', owner);
      before = this.#lookAtTime(owner, item, before);
      // Uses the text itself, because a digest is not worth it for one use.
      const identity = canonicalFields(item.fields);
      if (seen.has(identity)) this.#concern('repeated_items', owner);
      seen.add(identity);
    }
  }

  /** @returns the earliest allowed time of the next item */
  #lookAtTime(owner: Owner, { at, isTimeUnknown }: LegacyItem, before: number): number {
    if (isTimeUnknown === true) {
      this.#concern('unknown_times', owner);
      return before;
    }
    const atMs = Date.parse(at);
    if (atMs < before) this.#concern('times_going_backwards', owner);
    return atMs;
  }

  #concern(name: ConcernName, owner: Owner): void {
    const concern = this.#concerns[name];
    concern.count += 1;
    if (concern.owners.length < EXAMPLES && concern.owners.at(-1) !== owner) concern.owners.push(owner);
  }

  survey(from: Survey['owners_from'], strays: Survey['strays']): Survey {
    const newest = this.#newestAtMs;
    return {
      owners_from: from,
      lanes: this.#lanes,
      items: this.#items,
      content_bytes: this.#bytes,
      newest_at: Number.isFinite(newest) ? new Date(newest).toISOString() : null,
      concerns: this.#concerns,
      strays,
      to_embed: {
        items: this.#items,
        seconds_with_the_built_in_model: Math.ceil((this.#items * EMBEDDING_MS) / 1_000),
      },
    };
  }
}

function newestOf({ items, session }: LegacyLane): number {
  const created = session === undefined ? Number.NEGATIVE_INFINITY : Date.parse(session.createdAt);
  return items.reduce((newest, { at }) => Math.max(newest, Date.parse(at)), created);
}

function plainIdOf(prefix: string, owner: Owner): string {
  return prefix === '' ? owner : `${prefix}:${owner}`;
}

function isExpired({ idleSeconds }: Retention, newestMs: number, nowMs: number): boolean {
  return idleSeconds !== undefined && Number.isFinite(newestMs) && nowMs - newestMs >= idleSeconds * 1_000;
}

/** NUL and lone surrogates, raw or as JSON escapes. The orchestrator stores a reversible escape of them. */
function isUnstorable(json: string): boolean {
  if (json.includes(NUL) || !json.isWellFormed()) return true;
  if (!json.includes('\\u')) return false;
  const decoded = json.replaceAll(/\\(?:u([0-9a-fA-F]{4})|.)/g, (_, code: string | undefined) =>
    code === undefined ? '' : String.fromCharCode(Number.parseInt(code, 16)),
  );
  return decoded.includes(NUL) || !decoded.isWellFormed();
}
