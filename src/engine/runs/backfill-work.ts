import { type LaneKey, laneKeyOf, type Owner, type ReplicaId, type ServiceName } from '../../domain/ids.ts';
import type { LaneState } from '../../domain/lane.ts';
import type { CopyReason } from '../copies/copy-queue.ts';
import type { Emit } from '../ports/events.ts';
import type { Lane } from '../lane/lane.ts';
import type { Lanes } from '../lane/lanes.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Journal } from '../ports/ports.ts';
import { EMPTY_TALLY, type Page, type Run, type RunRequest, type Skipped, type Tally } from '../ports/run.ts';
import type { BaselineStore, BaselineSummary } from '../ports/journal-facts.ts';
import type { Coverage, ServiceRuntime } from '../ports/service-runtime.ts';
import { shapeOf } from '../compare/reply-values.ts';
import { parseTolerantly } from '../../domain/json.ts';
import {
  inParallel,
  lanesOfAPage,
  type ListedLane,
  type PageOutcome,
  type RunControl,
  RunInterrupted,
  type RunWork,
} from './run-work.ts';
import type { LaneDirectory } from './run-ports.ts';
import { surveyService } from './survey.ts';
import { readLegacyLanes } from './legacy-lanes.ts';

interface BackfillParts {
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly coverage: ReadonlyMap<ServiceName, Coverage>;
  readonly journal: Pick<Journal, 'lanes'>;
  readonly lanes: Lanes;
  readonly baselines: BaselineStore;
  readonly directory: LaneDirectory;
  readonly clock: Clock;
  readonly emit: Emit;
  /** Resolves when the lane's copy was tried: undefined if it succeeded. */
  copy(lane: Lane, reason: CopyReason): Promise<string | undefined>;
}

/** The result for one lane of a page. */
interface Copied {
  readonly owner: Owner;
  readonly key: LaneKey;
  /** There was nothing to do. */
  readonly isThere: boolean;
  readonly failure: string | undefined;
}

/** Copies every lane that is not seeded yet: `copyLane` for all owners, the most active first. */
export class BackfillWork implements RunWork {
  readonly pagesAtOnce = 2;
  readonly #parts: BackfillParts;

  constructor(parts: BackfillParts) {
    this.#parts = parts;
  }

  lanesPerPage(request: RunRequest): number {
    return lanesOfAPage(request);
  }

  async *list(
    { request }: Pick<Run, 'request'>,
    name: ServiceName,
  ): AsyncGenerator<readonly ListedLane[], object> {
    const { services, clock, directory, emit } = this.#parts;
    const service = services.get(name);
    if (service === undefined) throw new Error(`Unknown service "${name}"`);
    const survey = yield* surveyService(service, {
      nowMs: clock.wallMs(),
      only: request.owner,
      journaled: directory.owners(name),
    });
    if (request.owner === undefined)
      emit('backfill:queued', { service: name, owners: survey.lanes, lanes: survey.lanes });
    return survey;
  }

  async page(run: Run, page: Page, control: RunControl): Promise<PageOutcome> {
    const { journal, lanes, baselines } = this.#parts;
    const keys = new Map(page.owners.map((owner) => [owner, laneKeyOf(page.service, owner)]));
    const states = await journal.lanes([...keys.values()]);
    const summaries = await baselines.summaries([...keys.values()]);
    const copied: Copied[] = [];
    // Queried together, because single queries would be as many as there are lanes.
    for await (const _loaded of lanes.loadAll([...keys.values()]));
    const isWhole = await inParallel([...keys], control, async ([owner, key]) => {
      // A lane that was seeded by its writes, or whose copy left something out, has no baseline. It is copied.
      const isThere = this.#isSeeded(page.service, states.get(key)) && summaries.has(key);
      const failure = isThere ? undefined : await this.#copy(await lanes.load(page.service, owner));
      copied.push({ owner, key, isThere, failure });
      if (!isThere) await control.after(() => this.#itemsOf(key));
    });
    if (!isWhole) throw new RunInterrupted('the run was stopped');
    return this.#outcome(run, page, copied);
  }

  document({ request }: Run, tallies: Readonly<Record<string, Tally>>): Promise<object> {
    return importDocument(request, tallies, this.#parts.services);
  }

  #isSeeded(service: ServiceName, state: LaneState | undefined): boolean {
    const number = this.#parts.coverage.get(service)?.number ?? 0;
    return (
      state !== undefined && state.seededCoverage === number && number > 0 && state.condition === 'clean'
    );
  }

  #copy(lane: Lane): Promise<string | undefined> {
    return this.#parts.copy(lane, 'backfill');
  }

  async #itemsOf(key: LaneKey): Promise<number> {
    return (await this.#parts.baselines.summaries([key])).get(key)?.items ?? 0;
  }

  async #outcome(run: Run, page: Page, copied: readonly Copied[]): Promise<PageOutcome> {
    const { journal, baselines, directory } = this.#parts;
    const keys = copied.map(({ key }) => key);
    const [states, summaries, exceptions, homes] = [
      await journal.lanes(keys),
      await baselines.summaries(keys),
      await directory.exceptions(keys),
      await directory.homesElsewhere(keys),
    ];
    const elsewhere = new Map<ReplicaId, Owner[]>();
    const tallied: Tallied[] = [];
    for (const { owner, key, isThere, failure } of copied) {
      const [state, home] = [states.get(key), homes.get(key)];
      if (home !== undefined && !this.#isSeeded(page.service, state)) {
        elsewhere.set(home, [...(elsewhere.get(home) ?? []), owner]);
        continue;
      }
      const reason = this.#reasonLeft(page.service, state, failure);
      const summary = summaries.get(key);
      // If a process copied lanes of this page before it died, that counts as the run's own work.
      const wasThere = isThere && (summary?.atMs ?? 0) < run.beganAtMs;
      tallied.push({ owner, wasThere, reason, summary, exceptions: exceptions.get(key) });
    }
    return { tally: tallyOf(tallied), elsewhere };
  }

  #reasonLeft(
    service: ServiceName,
    state: LaneState | undefined,
    failure: string | undefined,
  ): string | undefined {
    if (this.#isSeeded(service, state)) return undefined;
    if (state?.condition === 'stopped') return `stopped: ${state.reason}`;
    return failure ?? 'its history became uncertain again, and it waits for another copy';
  }
}

interface Tallied {
  readonly owner: Owner;
  readonly wasThere: boolean;
  readonly reason: string | undefined;
  readonly summary: BaselineSummary | undefined;
  readonly exceptions: ReadonlyMap<string, number> | undefined;
}

function tallyOf(lanes: readonly Tallied[]): Tally {
  const done = lanes.filter(({ reason }) => reason === undefined);
  const skipped = lanes.flatMap(({ owner, reason, exceptions }): Skipped[] => [
    ...(reason === undefined ? [] : [{ owner, reason }]),
    ...[...(exceptions ?? [])].map(([why, items]) => ({ owner, reason: why, items })),
  ]);
  const itemsOf = (some: readonly Tallied[]): number =>
    some.reduce((sum, { summary }) => sum + (summary?.items ?? 0), 0);
  const digest =
    done.reduce((sum, { summary }) => sum + BigInt(`0x${summary?.digest ?? '0'}`), 0n) % 2n ** 128n;
  return {
    counts: {
      lanes: done.length,
      items: itemsOf(done),
      items_copied: itemsOf(done.filter(({ wasThere }) => !wasThere)),
      lanes_there_before: done.filter(({ wasThere }) => wasThere).length,
      lanes_left: lanes.length - done.length,
      items_left_out: skipped.reduce((sum, { items }) => sum + (items ?? 0), 0),
    },
    digest: digest.toString(16).padStart(32, '0'),
    skipped,
    samples: done
      .filter(({ summary }) => (summary?.items ?? 0) > 0)
      .slice(0, 1)
      .map(({ owner, summary }) => ({ owner, items: summary?.items, digest: summary?.digest })),
  };
}

/**
 * The document of an import, by service: counts, a digest, what was left out and why, how each member was mapped, and samples
 * without content.
 */
async function importDocument(
  { services }: RunRequest,
  tallies: Readonly<Record<string, Tally>>,
  runtimes: ReadonlyMap<ServiceName, ServiceRuntime>,
): Promise<object> {
  const documents: Record<string, object> = {};
  for (const name of services) {
    const { counts, digest, skipped, samples } = tallies[name] ?? EMPTY_TALLY;
    const runtime = runtimes.get(name);
    documents[name] = {
      ...counts,
      digest,
      skipped,
      mapping: runtime?.definition.lanes.mapping ?? [],
      not_mapped: runtime?.definition.unmapped ?? [],
      samples: runtime === undefined ? [] : await withShapes(runtime, samples),
    };
  }
  return { services: documents };
}

async function withShapes(service: ServiceRuntime, samples: readonly object[]): Promise<object[]> {
  const owners = samples.flatMap((sample) => ('owner' in sample ? [sample.owner as Owner] : []));
  const readings = await readLegacyLanes(service, owners);
  return samples.map((sample) => {
    const reading = 'owner' in sample ? readings.get(sample.owner as Owner) : undefined;
    const item = reading !== undefined && 'lane' in reading ? reading.lane.items[0] : undefined;
    const shapes = Object.entries(item?.fields ?? {}).map(([name, raw]) => [
      name,
      shapeOf(parseTolerantly(raw)),
    ]);
    return { ...sample, first_item: { ...Object.fromEntries(shapes), at: item?.at ?? null } };
  });
}
