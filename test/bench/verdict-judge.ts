import { atLeast, atMost, type Goal } from './goals.ts';

/** One read of an agent whose answers were compared, or could not be. */
export interface Case {
  /** Whether the injector had broken what the orchestrator said. */
  readonly isInjected: boolean;
  /** Undefined where the product could not compare. */
  readonly isDetected: boolean | undefined;
  /** When the agent asked, and when the product had concluded: seconds of one clock. */
  readonly askedAtSeconds: number;
  readonly concludedAtSeconds: number;
}

export interface ClassRun {
  readonly name: string;
  readonly truth: 'fault' | 'harmless' | 'none';
  readonly cases: readonly Case[];
  readonly tripped: boolean;
  /** Calls that agents got an error to; counted in the clean run only. */
  readonly failedCalls?: number;
  /** Of the clean run's reads, those that could not be compared, by the reason: its cases are the others. */
  readonly notCompared?: Readonly<Record<string, number>>;
}

export interface ClassResult {
  readonly class: string;
  readonly injected: number;
  /** Of these, those the product could compare. */
  readonly comparable: number;
  readonly detected: number;
  readonly missed: number;
  /** Of the reads whose answers were broken, or in the clean run of all, those that the product could compare. */
  readonly comparable_share: number;
  /** Mismatches where nothing was wrong. */
  readonly false_alarms: number;
  /** Comparisons where nothing was wrong. */
  readonly clean: number;
  /** From the first read that was answered wrongly to the first conclusion that says so; null where none was. */
  readonly seconds_to_detect: number | null;
  readonly tripped: boolean;
  readonly failed_calls?: number;
  readonly not_compared?: Readonly<Record<string, number>>;
}

/** What a class came to. What is harmless counts as an alarm, and never as missed. */
export function judgeClass(run: ClassRun): ClassResult {
  const { name, truth, cases, tripped, failedCalls, notCompared } = run;
  const others = Object.values(notCompared ?? {}).reduce((sum, count) => sum + count, 0);
  const compared = cases.filter(({ isDetected }) => isDetected !== undefined);
  const isFault = ({ isInjected }: Case): boolean => isInjected && truth === 'fault';
  const broken = compared.filter(isFault);
  const detected = broken.filter(({ isDetected }) => isDetected === true);
  const clean = compared.filter((one) => !isFault(one));
  const injected = cases.filter(({ isInjected }) => isInjected);
  return {
    class: name,
    injected: injected.length,
    comparable: compared.filter(({ isInjected }) => isInjected).length,
    detected: detected.length,
    missed: broken.length - detected.length,
    comparable_share: truth === 'none' ? clean.length / (cases.length + others) : shareOf(injected),
    false_alarms: clean.filter(({ isDetected }) => isDetected === true).length,
    clean: clean.length,
    seconds_to_detect: detected.length === 0 ? null : secondsBetween(injected, detected),
    tripped,
    ...(failedCalls !== undefined && { failed_calls: failedCalls }),
    ...(notCompared !== undefined && { not_compared: notCompared }),
  };
}

function shareOf(cases: readonly Case[]): number {
  return cases.filter(({ isDetected }) => isDetected !== undefined).length / cases.length;
}

function secondsBetween(injected: readonly Case[], detected: readonly Case[]): number {
  const begun = Math.min(...injected.map(({ askedAtSeconds }) => askedAtSeconds));
  return Math.min(...detected.map(({ concludedAtSeconds }) => concludedAtSeconds)) - begun;
}

const DETECTED_SHARE = 0.999;
/** A bench that could compare little has shown little. */
const COMPARABLE_SHARE = 0.9;

/** A class of which nothing could be compared has shown nothing: its goals are missed. */
export function goalsOf(run: ClassRun, result: ClassResult): Goal[] {
  const { name, truth } = run;
  const alarms = atMost(`${name}: false alarms`, 0, result.clean === 0 ? Infinity : result.false_alarms);
  const trips = (wanted: 0 | 1): Goal =>
    (wanted === 1 ? atLeast : atMost)(`${name}: trips`, wanted, Number(result.tripped));
  const compared = atLeast(`${name}: comparable share`, COMPARABLE_SHARE, result.comparable_share);
  if (truth === 'none') return [compared, alarms, trips(0)];
  if (truth === 'harmless')
    return [compared, atLeast(`${name}: harmless cases compared`, 1, result.comparable), alarms, trips(0)];
  const share = result.detected / (result.detected + result.missed);
  return [compared, atLeast(`${name}: detected share`, DETECTED_SHARE, share), alarms, trips(1)];
}
