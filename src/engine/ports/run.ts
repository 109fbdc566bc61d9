import type { Owner, ServiceName } from '../../domain/ids.ts';

/** Work over many lanes, started by a person or a schedule. */
export const RUN_KINDS = ['backfill', 'reconcile', 'repair'] as const;

export type RunKind = (typeof RUN_KINDS)[number];

/** `listing`: the owners are being listed. `stopped`: by a person or by a limit; it can be resumed. */
export type RunState = 'listing' | 'running' | 'stopped' | 'finished' | 'failed';

/** Most that a repair may change without a confirmation. */
export interface RepairLimits {
  readonly items: number;
  /** Share of all compared items: 0.005 is 0.5 %. */
  readonly share: number;
}

/** The request of the run. */
export interface RunRequest {
  readonly services: readonly ServiceName[];
  /** Only this owner's lanes. */
  readonly owner?: Owner;
  /** Items per second, over all replicas. @defaultValue as fast as possible without slowing agents */
  readonly rate?: number;
  /** Of a reconciliation: every lane, or those written to since they were last found equal. @defaultValue full */
  readonly scope?: 'full' | 'changed';
  /** Of a repair: the reconciliation whose findings it resolves. */
  readonly of?: number;
  readonly limits?: RepairLimits;
  /** The time for which a schedule started it, ISO-8601. No other run is started for that time. */
  readonly scheduled?: string;
  /** The responsible person, and the reason. */
  readonly person?: string;
  readonly reason?: string;
}

/** A lane that was left out or not finished. */
export interface Skipped {
  readonly owner: string;
  readonly reason: string;
  /** Number of its items, if only some were left out. */
  readonly items?: number;
}

/** What was done with a page of lanes, or with a service. Counts are added. */
export interface Tally {
  readonly counts: Readonly<Record<string, number>>;
  /** Sum modulo 2^128 of the lanes' digests, 32 hexadecimal digits. */
  readonly digest: string;
  /** Bounded: only the first ones. */
  readonly skipped: readonly Skipped[];
  /** A few owners with what was imported for each. */
  readonly samples: readonly object[];
}

export interface Run {
  readonly id: number;
  readonly kind: RunKind;
  readonly request: RunRequest;
  readonly state: RunState;
  readonly reason: string;
  readonly beganAtMs: number;
  readonly finishedAtMs: number | null;
  /** What was found before anything was written, by service. */
  readonly survey: Readonly<Record<string, object>>;
  readonly report: object | null;
}

/** The progress of a run, with the counts by service so far. */
export interface RunProgress {
  readonly lanes: number;
  readonly lanesDone: number;
  readonly services: Readonly<Record<string, Pick<Tally, 'counts' | 'digest'>>>;
}

/** Lanes that are processed together. */
export interface Page {
  readonly run: number;
  readonly page: number;
  readonly service: ServiceName;
  readonly owners: readonly Owner[];
  /** How many times it was started, including this time. */
  readonly attempts: number;
}

const SKIPPED_KEPT = 1_000;
const SAMPLES_KEPT = 5;
const MODULUS = 2n ** 128n;

export const EMPTY_TALLY: Tally = { counts: {}, digest: '0'.repeat(32), skipped: [], samples: [] };

export function addTallies(one: Tally, other: Tally): Tally {
  const counts = { ...one.counts };
  for (const [name, count] of Object.entries(other.counts)) counts[name] = (counts[name] ?? 0) + count;
  return {
    counts,
    digest: addDigests(one.digest, other.digest),
    skipped: [...one.skipped, ...other.skipped].slice(0, SKIPPED_KEPT),
    samples: [...one.samples, ...other.samples].slice(0, SAMPLES_KEPT),
  };
}

function addDigests(one: string, other: string): string {
  return hexadecimal((BigInt(`0x${one}`) + BigInt(`0x${other}`)) % MODULUS);
}

/** A digest as printed: 32 digits. */
export function hexadecimal(digest: bigint): string {
  return digest.toString(16).padStart(32, '0');
}

/** One action on several services is one audit entry, which names all of them. A filter by any of these services finds it. */
export function auditedServices<Details extends object>(
  services: readonly ServiceName[],
  details: Details,
): { readonly service: string; readonly details: Details & { readonly services?: readonly ServiceName[] } } {
  return services.length === 1
    ? { service: services[0] ?? '', details }
    : { service: services.join(', '), details: { ...details, services } };
}
