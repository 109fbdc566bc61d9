import type { ReplicaId, ServiceName } from '../../domain/ids.ts';
import type { Evidence } from '../evidence/confidence.ts';
import type { Finding } from '../ports/finding.ts';
import type { GuardCounts } from './guard-counts.ts';
import type { Latch } from '../ports/latch.ts';
import type { TroubledLanes } from './triggers.ts';

/** What became of a wish to release a latch. */
export type Release =
  | { readonly result: 'released'; readonly latch: Latch }
  | { readonly result: 'not_latched' }
  /** Its cool-down has not passed. */
  | { readonly result: 'too_early'; readonly latch: Latch };

/** What every replica must know within two seconds, read in one go. */
export interface GuardState {
  readonly open: readonly Latch[];
  /** Wall-clock instant of each service's last release: what was counted before it does not trip again. */
  readonly releasedAtMs: ReadonlyMap<ServiceName, number>;
  readonly troubled: ReadonlyMap<ServiceName, TroubledLanes>;
}

/** Trips, written down once. @throws StorageError */
export interface LatchStore {
  state(): Promise<GuardState>;
  /** Sets the service's latch unless one is open, and says whether it was this call that set it. */
  trip(
    finding: Finding,
    by: { readonly replica: ReplicaId; readonly firstCoolDownMs: number },
  ): Promise<{
    readonly latch: Latch;
    readonly isNew: boolean;
  }>;
  /** Whether the trip's flags are still to be switched off: the latch is open, and no replica has written them down as off. */
  areFlagsDue(latch: number): Promise<boolean>;
  /** Writes down, once, which flags the trip has switched off. Audited. */
  flagsAreOff(
    latch: number,
    off: { readonly service: ServiceName; readonly flags: readonly string[] },
  ): Promise<void>;
  /** Audited. */
  release(service: ServiceName, by: { readonly person: string; readonly reason: string }): Promise<Release>;
}

/** Flags where people see and change them. What is in effect never waits for it. */
export interface FlagSwitch {
  /**
   * Switches off what moves lanes of the service, and says which flags it were: those that are off, or ask for nothing, stay.
   * @param isDue asked before each flag is switched off: after a release, a flag that is on is a person's decision
   * @throws Error in words for people
   */
  off(service: ServiceName, isDue: () => Promise<boolean>): Promise<readonly string[]>;
  /** Gives up what is under way. */
  stop(): void;
}

/** A bundle, without what is in it. */
export interface TripBundleHead {
  /** Also the bundle's own number. */
  readonly latch: number;
  readonly service: ServiceName;
  readonly atMs: number;
  readonly trigger: string;
  readonly bytes: number;
}

/** What was known at each trip. The oldest of a service leave first. @throws StorageError */
export interface TripBundleStore {
  /** In place of what was written of the same latch before. */
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
  /** Puts this replica's counts of these minutes in place of what it wrote of them before: safe to repeat. */
  write(replica: ReplicaId, rows: readonly MinuteRow[]): Promise<void>;
  /** In order of their minute. */
  since(fromMs: number): Promise<readonly StoredMinute[]>;
  prune(beforeMs: number): Promise<void>;
}

export interface EvidenceRow {
  readonly service: ServiceName;
  readonly action: string;
  /** Stands for definition and rules. */
  readonly digest: string;
  readonly evidence: Evidence;
}

/** Comparisons since the last change of definition or rules. @throws StorageError */
export interface EvidenceStore {
  add(rows: readonly EvidenceRow[]): Promise<void>;
  /** By action, as far as it was gathered under the action's present digest. */
  of(service: ServiceName, digestOf: (action: string) => string): Promise<ReadonlyMap<string, Evidence>>;
}

export interface AuditEntry {
  readonly atMs: number;
  readonly person: string;
  /** What was done, such as `guard release`. */
  readonly command: string;
  readonly service: string;
  readonly reason: string;
  readonly details: Readonly<Record<string, unknown>>;
}

export interface StoredAuditEntry extends AuditEntry {
  /** Ascends with time. */
  readonly id: number;
}

export interface AuditQuery {
  readonly limit: number;
  /** @defaultValue every service */
  readonly service?: string;
  /** @defaultValue everybody */
  readonly person?: string;
  /** How the command begins, such as `guard`. @defaultValue every command */
  readonly command?: string;
  /** Only entries with a lower id: those behind a page that ended with it. */
  readonly before?: number;
}

/** Everything a person, or the guard, changed. @throws StorageError */
export interface AuditStore {
  add(entry: Omit<AuditEntry, 'atMs'>): Promise<void>;
  /** Newest first. */
  recent(query: AuditQuery): Promise<readonly StoredAuditEntry[]>;
}

/** Stands for what an action's answers are made and judged by. Changes when rules change. */
export type DigestOf = (service: ServiceName, action: string) => string;

/** An alert for people who are not looking. Never waits, never throws. */
export interface Alerts {
  send(alert: Alert): void;
}

export interface Alert {
  /** `tripped`, `released`, or the mildest step of a finding that is worth a word. */
  readonly kind: 'tripped' | 'released' | 'finding';
  readonly service: ServiceName;
  readonly finding: Finding;
  readonly atMs: number;
  /** Present when a latch was set or released. */
  readonly latch?: Latch;
}
