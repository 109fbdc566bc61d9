import type { ComparisonRule } from '../../../../src/domain/comparison.ts';
import { compareReplies } from '../../../../src/migration/compare/compare-replies.ts';

type Kind =
  | { readonly kind: 'ignore' | 'prefix' | 'equal_if_missing' | 'set' }
  | { readonly kind: 'tolerance_seconds'; readonly seconds: number };

export const rule = (path: string, kind: Kind, expires?: string): ComparisonRule => ({
  path,
  owner: 'test',
  reason: 'test',
  ...kind,
  ...(expires !== undefined && { expires }),
});

export const compare = (legacy: string, orchestrator: string, rules: readonly ComparisonRule[] = []) =>
  compareReplies({ legacy, orchestrator, rules, nowIso: '2026-11-21T00:00:00.000Z' });

export const classesOf = (legacy: string, orchestrator: string, rules: readonly ComparisonRule[] = []) =>
  compare(legacy, orchestrator, rules).differences.map(({ path, class: kind }) => `${kind} ${path}`);
