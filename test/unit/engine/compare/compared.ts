import type { ComparisonRule } from '../../../../src/domain/comparison.ts';
import { compareReplies } from '../../../../src/engine/compare/compare-replies.ts';

type WithoutBase<Rule> = Rule extends unknown ? Omit<Rule, 'path' | 'owner' | 'reason' | 'expires'> : never;
export type Kind = WithoutBase<ComparisonRule>;

export const rule = (path: string, kind: Kind, expires?: string): ComparisonRule =>
  ({
    path,
    owner: 'test',
    reason: 'test',
    ...kind,
    ...(expires !== undefined && { expires }),
  }) as ComparisonRule;

export const compare = (legacy: string, orchestrator: string, rules: readonly ComparisonRule[] = []) =>
  compareReplies({ legacy, orchestrator, rules, nowIso: '2026-11-21T00:00:00.000Z' }).comparison;

export const classesOf = (legacy: string, orchestrator: string, rules: readonly ComparisonRule[] = []) =>
  compare(legacy, orchestrator, rules).differences.map(({ path, class: kind }) => `${kind} ${path}`);
