import type { ReplicaId, ServiceName } from '../../domain/ids.ts';
import type { Evidence } from '../evidence/confidence.ts';
import type { Finding, Latch } from '../ports/finding.ts';
import type { GuardCounts } from './guard-counts.ts';
import type { TroubledLanes } from './triggers.ts';

/** The result of a request to release a latch. */
export type Release =
  | { readonly result: 'released'; readonly latch: Latch }
  | { readonly result: 'not_latched' }
  /** Its cool-down has not passed. */
  | { readonly result: 'too_early'; readonly latch: Latch };

/** What every replica must know within two seconds, read in one query. */
export interface GuardState {
  readonly open: readonly Latch[];
  /** Wall-clock time of each service's last release. Counts from before it do not trip again. */
  readonly releasedAtMs: ReadonlyMap<ServiceName, number>;
  readonly troubled: ReadonlyMap<ServiceName, TroubledLanes>;
}

/** Trips. Each is stored once. @throws StorageError */
export interface LatchStore {
  state(): Promise<GuardState>;
  /** Sets the service's latch unless one is open, and returns whether this call has set it. */
  trip(
    finding: Finding,
    by: { readonly replica: ReplicaId; readonly firstCoolDownMs: number },
  ): Promise<{
    readonly latch: Latch;
    readonly isNew: boolean;
    /** Lanes of the service that the trip does not move, because the orchestrator is primary for them. */
    readonly flippedLanes: number;
  }>;
  /** Whether the trip's flags must still be switched off: the latch is open, and no replica has recorded them as off. */
  areFlagsDue(latch: number): Promise<boolean>;
  /** Records once which flags the trip has switched off. Audited. */
  flagsAreOff(
    latch: number,
    off: { readonly service: ServiceName; readonly flags: readonly string[] },
  ): Promise<void>;
  /** Audited. */
  release(service: ServiceName, by: { readonly person: string; readonly reason: string }): Promise<Release>;
}

/** The flags as people see and change them. What is active never waits for this. */
export interface FlagSwitch {
  /**
   * Switches off the flags that move lanes of the service, and returns them. Flags that are off, or request nothing, stay
   * unchanged.
   * @param isDue called before each flag is switched off. After a release, a flag that is on is a person's decision
   * @throws Error with a message for people
   */
  off(service: ServiceName, isDue: () => Promise<boolean>): Promise<readonly string[]>;
  /** Cancels what is under way. */
  stop(): void;
}

/** A bundle, without its contents. */
interface TripBundleHead {
  /** Also the number of the bundle. */
  readonly latch: number;
  readonly service: ServiceName;
  readonly atMs: number;
  readonly trigger: string;
  readonly bytes: number;
}

/** What was known at each trip. The oldest bundles of a service are removed first. @throws StorageError */
export interface TripBundleStore {
  /** Replaces what was written for the same latch before. */
  put(latch: Latch, bundle: string): Promise<void>;
  /** Newest first. */
  list(): Promise<readonly TripBundleHead[]>;
  read(latch: number): Promise<string | undefined>;
}

/** What one replica counted of an action in one minute. Wall clock. */
export interface MinuteRow {
  readonly service: ServiceName;
  readonly action: string;
  readonly minuteMs: number;
  readonly counts: GuardCounts;
}

export interface StoredMinute extends MinuteRow {
  readonly replica: ReplicaId;
}

/** Statistics by minute. @throws StorageError */
export interface MinuteStore {
  /** Replaces what this replica wrote of these minutes before, so it can be repeated. */
  write(replica: ReplicaId, rows: readonly MinuteRow[]): Promise<void>;
  /** Ordered by minute. */
  since(fromMs: number): Promise<readonly StoredMinute[]>;
  prune(beforeMs: number): Promise<void>;
}

export interface EvidenceRow {
  readonly service: ServiceName;
  readonly action: string;
  /** A digest of definition and rules. */
  readonly digest: string;
  readonly evidence: Evidence;
}

/** Comparisons since the last change of definition or rules. @throws StorageError */
export interface EvidenceStore {
  add(rows: readonly EvidenceRow[]): Promise<void>;
  /** By action, if it was gathered under the action's present digest. */
  of(service: ServiceName, digestOf: (action: string) => string): Promise<ReadonlyMap<string, Evidence>>;
}

export interface AuditEntry {
  readonly atMs: number;
  readonly person: string;
  /** The command, such as `guard release`. */
  readonly command: string;
  readonly service: string;
  readonly reason: string;
  readonly details: Readonly<Record<string, unknown>>;
}

export interface StoredAuditEntry extends AuditEntry {
  /** Ascends with time. */
  readonly id: number;
}

interface AuditQuery {
  readonly limit: number;
  /** @defaultValue every service */
  readonly service?: string;
  /** @defaultValue every person */
  readonly person?: string;
  /** The first word of the command, such as `guard`. @defaultValue every command */
  readonly command?: string;
  /** Only entries with a lower id, for the next page. */
  readonly before?: number;
}

/** Every change by a person or by the guard. @throws StorageError */
export interface AuditStore {
  add(entry: Omit<AuditEntry, 'atMs'>): Promise<void>;
  /** Newest first. */
  recent(query: AuditQuery): Promise<readonly StoredAuditEntry[]>;
}

/** A digest of everything that decides an action's answers and their judgement. Changes when rules change. */
export type DigestOf = (service: ServiceName, action: string) => string;

/** Sends an alert to people. Never waits, never throws. */
export interface Alerts {
  send(alert: Alert): void;
}

export interface Alert {
  /** `tripped`, `released`, or the mildest step of a finding that needs an alert. */
  readonly kind: 'tripped' | 'released' | 'finding';
  readonly service: ServiceName;
  readonly finding: Finding;
  readonly atMs: number;
  /** Present if a latch was set or released. */
  readonly latch?: Latch;
  /** Of a trip: the lanes that it does not move. Absent while the database is away. */
  readonly flippedLanes?: number;
}
