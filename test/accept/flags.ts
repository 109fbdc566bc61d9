import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const SERVICES = ['session-memory', 'contextual-memory', 'jarvis-memory'] as const;

/** What the flags of every service ask for. */
export interface Asked {
  readonly dualWrite: boolean;
  /** Percent. */
  readonly shadowRead: number;
  readonly readCutover: number;
  /** @defaultValue 0 */
  readonly writeCutover?: number;
}

export const NOTHING_ASKED: Asked = { dualWrite: false, shadowRead: 0, readCutover: 0 };

/** While all reads go to legacy, and the orchestrator is asked too. */
export const SHADOWED = 'shadow-read 100 %';
/** While all reads go to the orchestrator. */
export const CUT_OVER = 'read-cutover 100 %';

/** The way of a migration: from which share of the work on which flags stand. */
export const WALK: readonly { readonly from: number; readonly name: string; readonly asked: Asked }[] = [
  { from: 0, name: 'off', asked: NOTHING_ASKED },
  { from: 0.1, name: 'dual-write', asked: { dualWrite: true, shadowRead: 0, readCutover: 0 } },
  { from: 0.25, name: SHADOWED, asked: { dualWrite: true, shadowRead: 100, readCutover: 0 } },
  { from: 0.5, name: 'read-cutover 25 %', asked: { dualWrite: true, shadowRead: 100, readCutover: 25 } },
  { from: 0.65, name: 'read-cutover 50 %', asked: { dualWrite: true, shadowRead: 100, readCutover: 50 } },
  { from: 0.8, name: CUT_OVER, asked: { dualWrite: true, shadowRead: 100, readCutover: 100 } },
];

/** Writes the flags as an operator would edit them, all at once. */
export function writeFlags(folder: string, asked: Asked, others: readonly string[] = []): void {
  const features = [...SERVICES, ...others].flatMap((service) => [
    feature(`crossfade.${service}.dual-write`, asked.dualWrite ? 100 : 0, undefined),
    feature(`crossfade.${service}.shadow-read`, asked.shadowRead, {
      stickiness: 'random',
      groupId: `${service}.shadow-read`,
    }),
    feature(`crossfade.${service}.read-cutover`, asked.readCutover, {
      stickiness: 'sessionId',
      groupId: `crossfade.${service}.cutover`,
    }),
    feature(`crossfade.${service}.write-cutover`, asked.writeCutover ?? 0, {
      stickiness: 'sessionId',
      groupId: `crossfade.${service}.cutover`,
    }),
    feature(`crossfade.${service}.legacy-read-only`, 0, undefined),
  ]);
  const text = JSON.stringify(
    { version: 2, features: [...features, feature('crossfade.kill-switch', 0, undefined)] },
    null,
    2,
  );
  const file = join(folder, 'crossfade.json');
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}

function feature(
  name: string,
  percentage: number,
  rollout: { stickiness: string; groupId: string } | undefined,
) {
  const strategy =
    rollout === undefined
      ? { name: 'default', parameters: {} }
      : { name: 'flexibleRollout', parameters: { rollout: String(percentage), ...rollout } };
  return { name, type: 'release', enabled: percentage > 0, strategies: [strategy] };
}
