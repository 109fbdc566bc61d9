import { messageOf } from '../../domain/errors.ts';
import { laneKeyOf, type Owner, type ServiceName } from '../../domain/ids.ts';
import type { CopyQueue } from '../copies/copy-queue.ts';
import type { Emit } from '../ports/events.ts';
import type { Lane } from '../lane/lane.ts';
import type { Lanes } from '../lane/lanes.ts';
import { listOwners } from '../runs/legacy-lanes.ts';
import type { Membership } from '../replicas/membership.ts';
import type { Clock } from '../../shared/clock.ts';
import type { CoverageStore, Flags, Journal } from '../ports/ports.ts';
import type { Coverage, ServiceRuntime } from '../ports/service-runtime.ts';
import type { Shares } from '../flips/shares.ts';
import type { Spill } from '../spill/spill.ts';
import type { Unjournaled } from './unjournaled.ts';

const HEARTBEAT_MS = 1_000;
/** After this time without a heartbeat, a replica is no longer waited for. Every lane is copied again instead. */
const LOST_AFTER_SECONDS = 600;

/** A statement whose answer was lost commits at most this much later. */
const LATE_COMMIT_MS = 60_000;

export interface CoverageParts {
  readonly membership: Pick<Membership, 'isAlone' | 'isAnySpilled' | 'allReport' | 'beat' | 'caughtUp'>;
  /** Notified of every heartbeat, answered or not. Absent: nothing is spilled. */
  readonly spill?: Pick<Spill, 'answered' | 'failed'> | undefined;
  readonly unjournaled: Pick<Unjournaled, 'inherit'>;
  /** Absent: no lane is flipped. */
  readonly shares?: Pick<Shares, 'follow'> | undefined;
  readonly store: CoverageStore;
  readonly journal: Pick<Journal, 'outdated' | 'returned'>;
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly coverage: ReadonlyMap<ServiceName, Coverage>;
  readonly flags: Pick<Flags, 'isEnabled' | 'onChange'>;
  /** Whether dual writes that the flag requests may begin. If not, the next heartbeat asks again. */
  readonly mayBegin: (service: ServiceName) => boolean;
  /** Whether all owners are copied automatically. If not, only those with waiting writes. */
  readonly copiesAll: boolean;
  readonly lanes: Pick<Lanes, 'loadAll'>;
  readonly copies: Pick<CopyQueue, 'add'>;
  /** Lanes with writes that wait for delivery. */
  readonly waitingLanes: (service: ServiceName) => readonly Lane[];
  readonly clock: Clock;
  readonly emit: Emit;
}

/**
 * Starts and ends dual writes of each service as its flag requests. To start: open the row, journal every write, and after the
 * last unjournaled write has ended, copy all owners. To end: close the row first. Only then may a write pass unjournaled.
 */
export class CoverageKeeper {
  readonly #parts: CoverageParts;
  readonly #listed = new Set<ServiceName>();
  /** Services whose dual writes may end although the end seemed to fail, with the time after which it cannot take effect. */
  readonly #perhapsEnded = new Map<ServiceName, number>();
  #isStopped = false;
  #loop: Promise<void> | undefined;
  #wake: AbortController | undefined;

  constructor(parts: CoverageParts) {
    this.#parts = parts;
  }

  /** Adopts the coverage that is active. @throws StorageError */
  async start(hasPredecessor: boolean): Promise<void> {
    const { store, coverage } = this.#parts;
    for (const [service, state] of coverage) {
      const { number, isQuiet } = await store.current(service);
      state.number = number;
      state.latest = number;
      if (hasPredecessor && !isQuiet) this.#inherit(service);
    }
    await this.#parts.shares?.follow();
    await this.#parts.membership.beat(this.#reported());
    await this.#follow();
    this.#parts.flags.onChange(() => this.#wake?.abort());
    this.#loop = this.#run();
  }

  /** Checks at once what the next heartbeat would show. */
  beatNow(): void {
    this.#wake?.abort();
  }

  /** Covered services whose owners are not listed yet. Their lanes are in no count. */
  get listings(): number {
    return [...this.#parts.coverage].filter(([name, { number }]) => number > 0 && !this.#listed.has(name))
      .length;
  }

  /** Lists the owners of all services again at the next heartbeat. */
  backfillAnew(): void {
    for (const state of this.#parts.coverage.values()) state.mayCopy = false;
    this.#listed.clear();
    this.#wake?.abort();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#wake?.abort();
    await this.#loop;
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      this.#wake = new AbortController();
      await this.#parts.clock.sleep(HEARTBEAT_MS, this.#wake.signal);
      if (this.#isStopped) return;
      try {
        // First, because a replica whose heartbeat is late must not act.
        await this.#beat();
        if (this.#parts.membership.isAnySpilled) await this.#parts.store.renewAfterLoss(LOST_AFTER_SECONDS);
        await this.#follow();
        this.#parts.membership.caughtUp();
        await this.#parts.shares?.follow();
      } catch (error) {
        this.#parts.emit('journal:failed', { reason: messageOf(error) });
      }
    }
  }

  async #beat(): Promise<void> {
    const { membership, spill } = this.#parts;
    try {
      await membership.beat(this.#reported());
    } catch (error) {
      spill?.failed();
      throw error;
    }
    spill?.answered();
  }

  /** The coverage that this replica reports: only if no write is under way that the journal does not know. */
  #reported(): Record<string, number> {
    const states = [...this.#parts.coverage].filter(([, { unjournaled }]) => unjournaled === 0);
    return Object.fromEntries(states.map(([service, { number }]) => [service, number]));
  }

  async #follow(): Promise<void> {
    for (const [name, state] of this.#parts.coverage) {
      await this.#followStored(name, state);
      const { enabled: isAsked, reason } = this.#parts.flags.isEnabled('dual-write', { service: name });
      if (isAsked && state.number === 0 && this.#parts.mayBegin(name)) await this.#begin(name, state);
      // Only a flag that is known to be off ends coverage. If the flag server is away, nothing changes.
      else if (reason === 'off' && state.number > 0) await this.#end(name, state);
      if (!state.mayCopy && this.isJournaledByAll(name)) this.#backfill(name, state);
    }
  }

  /** If another replica has started or ended coverage, or an end of this replica seemed to fail, it follows the stored row. */
  async #followStored(name: ServiceName, state: Coverage): Promise<void> {
    const untilMs = this.#perhapsEnded.get(name);
    if (this.#parts.membership.isAlone && untilMs === undefined) return;
    const nowMs = this.#parts.clock.now();
    const { number } = await this.#parts.store.current(name);
    const isOver = number !== state.number || nowMs >= (untilMs ?? Infinity);
    if (isOver) this.#perhapsEnded.delete(name);
    if (number === state.number) return;
    if (state.number > 0) {
      state.mayCopy = false;
      this.#listed.delete(name);
      this.#parts.emit('coverage:ended', { service: name, number: state.number });
    }
    state.number = number;
    state.latest = Math.max(state.latest, number);
    if (number > 0) this.#parts.emit('coverage:began', { service: name, number });
  }

  /** Whether every replica journals its writes to the service, and no unjournaled write is under way. */
  isJournaledByAll(name: ServiceName): boolean {
    const { number, unjournaled } = this.#parts.coverage.get(name) ?? { number: 0, unjournaled: 0 };
    return number > 0 && unjournaled === 0 && this.#parts.membership.allReport(name, number);
  }

  #inherit(name: ServiceName): void {
    const service = this.#parts.services.get(name);
    if (service !== undefined) this.#parts.unjournaled.inherit(service);
  }

  async #begin(name: ServiceName, state: Coverage): Promise<void> {
    const number = await this.#parts.store.begin(name);
    state.number = number;
    state.latest = number;
    this.#parts.emit('coverage:began', { service: name, number });
  }

  async #end(name: ServiceName, state: Coverage): Promise<void> {
    const { number } = state;
    this.#perhapsEnded.set(name, this.#parts.clock.now() + LATE_COMMIT_MS);
    // It stays while the orchestrator is primary of a lane. Or an earlier end has just taken effect.
    if (!(await this.#parts.store.end(name))) return;
    this.#perhapsEnded.delete(name);
    state.number = 0;
    state.mayCopy = false;
    this.#listed.delete(name);
    this.#parts.emit('coverage:ended', { service: name, number });
  }

  #backfill(name: ServiceName, state: Coverage): void {
    const service = this.#parts.services.get(name);
    if (service === undefined) return;
    state.mayCopy = true;
    this.#copyAll(service, state.number).catch((error: unknown) => {
      this.#parts.emit('backfill:failed', { service: name, reason: messageOf(error) });
      // The owners are listed again at the next heartbeat.
      state.mayCopy = false;
    });
  }

  async #copyAll(service: ServiceRuntime, number: number): Promise<void> {
    const { copies, emit, copiesAll } = this.#parts;
    await this.#parts.store.quiet(service.name);
    const unseeded = new Set<Lane>();
    const listed = copiesAll ? await this.#findUnseeded(service, number, unseeded) : 0;
    // An owner that legacy no longer holds may still have waiting writes, which also wait for a copy.
    for (const lane of this.#parts.waitingLanes(service.name)) {
      if (lane.seededCoverage !== number) unseeded.add(lane);
    }
    for (const lane of unseeded) copies.add(lane, 'backfill');
    await this.#copyReturned(service.name, number);
    this.#listed.add(service.name);
    if (copiesAll) emit('backfill:queued', { service: service.name, owners: listed, lanes: unseeded.size });
  }

  /** Agents use these lanes, and the replica that returned one may have died before its copy. */
  async #copyReturned(service: ServiceName, number: number): Promise<void> {
    const { lanes, journal, copies } = this.#parts;
    const owners = await journal.returned(service, number);
    for await (const page of lanes.loadAll(owners.map((owner) => laneKeyOf(service, owner))))
      for (const lane of page) if (lane.seededCoverage !== number) copies.add(lane, 'unseeded');
  }

  /** @returns the number of owners that the store lists */
  async #findUnseeded(service: ServiceRuntime, number: number, unseeded: Set<Lane>): Promise<number> {
    const { lanes, journal } = this.#parts;
    let listed = 0;
    const look = async (owners: readonly Owner[]): Promise<void> => {
      for await (const page of lanes.loadAll(owners.map((owner) => laneKeyOf(service.name, owner))))
        for (const lane of page) if (lane.seededCoverage !== number) unseeded.add(lane);
    };
    for await (const owners of (await listOwners(service)) ?? []) {
      listed += owners.length;
      await look(owners);
    }
    // An owner that legacy no longer lists may have been deleted while writes were not journaled.
    await look(await journal.outdated(service.name, number));
    return listed;
  }
}
