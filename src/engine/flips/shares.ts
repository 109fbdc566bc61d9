import { cutoverBucket } from '../../domain/cutover-bucket.ts';
import type { ServiceName } from '../../domain/ids.ts';
import type { ServiceDefinition } from '../../domain/service-definition.ts';
import { definitionDigest } from '../evidence/orchestrator-release.ts';
import type { Lane } from '../lane/lane.ts';
import type { Emit } from '../ports/events.ts';
import type { FlipShare, FlipShareStore } from '../ports/flip-ports.ts';
import type { Flags } from '../ports/ports.ts';
import type { NotedShares, SpillStore } from '../ports/spill-ports.ts';
import type { Clock } from '../../shared/clock.ts';

/** Rises with every change of what a replica does with the writes of a lane whose primary is the orchestrator. */
const PROTOCOL = 1;

/**
 * For this long after the journal was reached, a share above 0 is what it was then. A replica that is gone keeps other replicas from flips
 * for ten minutes (`storage/coverage.ts`). After that they may have raised the share.
 */
const BELIEVED_MS = 9 * 60_000;
const NOTE_AGAIN_MS = 60_000;
const EVERY_LANE = 100;

/**
 * With what a process answers writes of flipped lanes. The version of the proxy is no part of it. Otherwise a newer proxy would refuse such
 * writes until the older one has left.
 */
export function flipVersion(definition: ServiceDefinition): string {
  return `${PROTOCOL}-${definitionDigest(definition, '')}`;
}

export interface ShareParts {
  readonly store: FlipShareStore;
  /** {@link flipVersion} of each service. */
  readonly versions: Readonly<Record<string, string>>;
  readonly flags: Pick<Flags, 'percentage'>;
  /** Percent of the lanes whose writes may move now, whatever the flag requests. Undefined: not known yet. */
  readonly atMost: (service: ServiceName) => number | undefined;
  /** What a process knows that starts without the journal. A service that is not noted may have any share. Absent: nothing is known. */
  readonly disk: Pick<SpillStore, 'shares' | 'noteShares'> | undefined;
  readonly clock: Pick<Clock, 'now' | 'wallMs'>;
  readonly emit: Emit;
}

/**
 * The lanes whose writes may move to the orchestrator, by service. The flag and its interlocks decide how many. Like coverage, a share
 * takes effect when every registered replica has reported it: ../README.md, "Moving the writes of a lane".
 */
export class Shares {
  readonly #parts: ShareParts;
  #known: ReadonlyMap<ServiceName, FlipShare> = new Map();
  #isLoaded = false;
  #learnedAtMs = 0;
  #notedAtMs = -Infinity;

  constructor(parts: ShareParts) {
    this.#parts = parts;
  }

  /** The services of this process. */
  get services(): readonly ServiceName[] {
    return Object.keys(this.#parts.versions) as ServiceName[];
  }

  /** For the heartbeat: the shares on which this replica acts. */
  reported(): Record<string, number> {
    return Object.fromEntries([...this.#known].map(([service, { number }]) => [service, number]));
  }

  of(service: ServiceName): FlipShare | undefined {
    return this.#known.get(service);
  }

  /** Whether the orchestrator may be primary of the lane, as far as a process without the journal can know. */
  contains({ service, key }: Pick<Lane, 'service' | 'key'>): boolean {
    const percentage = this.#percentageOf(service);
    return percentage > 0 && cutoverBucket(service, key) <= percentage;
  }

  /** Whether this process may answer writes of flipped lanes: it does what all replicas have agreed on. */
  agrees(service: ServiceName): boolean {
    const known = this.#known.get(service);
    return known === undefined || known.version === this.#parts.versions[service];
  }

  /** With each heartbeat: learns of the shares, and changes them as the flags request. @throws StorageError */
  async follow(): Promise<void> {
    await this.learn();
    let isChanged = false;
    for (const service of this.services) isChanged = (await this.#resize(service)) || isChanged;
    if (isChanged) await this.learn();
  }

  /** A share counts only after it is noted on the disk, because the process may be started again without the journal. @throws StorageError */
  async learn(): Promise<void> {
    const { store, clock, emit } = this.#parts;
    const atMs = clock.now();
    const shares = await store.shares();
    const changed = this.services.filter(
      (service) => shares.get(service)?.number !== this.#known.get(service)?.number,
    );
    const isNew = changed.length > 0 || !this.#isLoaded;
    const isNoteOld = atMs - this.#notedAtMs >= NOTE_AGAIN_MS && this.#isAnyMoving();
    if (isNew || isNoteOld) await this.#note(shares, atMs);
    this.#learnedAtMs = atMs;
    if (!isNew) return;
    this.#known = shares;
    this.#isLoaded = true;
    for (const service of changed) {
      const { number = 0, percentage = 0 } = shares.get(service) ?? {};
      emit('share:changed', { service, number, percentage });
    }
  }

  /** The replica leaves. A share may rise without it afterwards, so the next process must not rely on the note. @throws StorageError */
  async leave(): Promise<void> {
    if (!this.#isLoaded || !this.#isAnyMoving()) return;
    const every = new Map([...this.#known].map(([service, { percentage }]) => [service, widest(percentage)]));
    await this.#note(
      new Map([...every].map(([service, percentage]) => [service, { percentage }])),
      this.#parts.clock.now(),
    );
  }

  #isAnyMoving(): boolean {
    return this.services.some((service) => (this.#known.get(service)?.percentage ?? 0) > 0);
  }

  async #note(
    shares: ReadonlyMap<ServiceName, Pick<FlipShare, 'percentage'>>,
    learnedAtMs: number,
  ): Promise<void> {
    const { disk, clock } = this.#parts;
    const percentages = Object.fromEntries(
      this.services.map((service) => [service, shares.get(service)?.percentage ?? 0]),
    );
    await disk?.noteShares({ percentages, atMs: clock.wallMs() - (clock.now() - learnedAtMs) });
    this.#notedAtMs = learnedAtMs;
  }

  /** Whether the share was to be changed. A lane outside the lower share may keep it. */
  async #resize(service: ServiceName): Promise<boolean> {
    const { store, versions } = this.#parts;
    const [share, version] = [this.#known.get(service), versions[service]];
    if (version === undefined) return false;
    const asked = this.#asked(service);
    const isResized = asked !== undefined && asked !== (share?.percentage ?? 0);
    if (isResized) await store.resize(service, asked, version);
    const isOther = share !== undefined && share.version !== version;
    if (isOther) await store.agree(service, version);
    return isResized || isOther;
  }

  #asked(service: ServiceName): number | undefined {
    const { flags, atMost } = this.#parts;
    const most = atMost(service);
    return most && Math.floor(Math.min(flags.percentage('write-cutover', service), most));
  }

  /** The journal's answer. Before that, what was noted, which a raised flag may have made too small while no process used the disk. */
  #percentageOf(service: ServiceName): number {
    const { disk, flags, clock } = this.#parts;
    if (this.#isLoaded)
      return believed(this.#known.get(service)?.percentage ?? 0, clock.now() - this.#learnedAtMs);
    return Math.max(
      notedOf(disk?.shares, service, clock.wallMs()),
      flags.percentage('write-cutover', service),
    );
  }
}

/** A service without a note may have any share. */
function notedOf(noted: NotedShares | undefined, service: ServiceName, wallMs: number): number {
  const percentage = noted?.percentages[service];
  return noted === undefined || percentage === undefined
    ? EVERY_LANE
    : believed(percentage, wallMs - noted.atMs);
}

/** While no lane of a service may move, its writes continue without the journal, however long it is away. */
function believed(percentage: number, ageMs: number): number {
  return ageMs >= 0 && ageMs < BELIEVED_MS ? percentage : widest(percentage);
}

function widest(percentage: number): number {
  return percentage === 0 ? 0 : EVERY_LANE;
}
