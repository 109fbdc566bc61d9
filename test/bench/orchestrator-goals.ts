import { atLeast, atMost, type Goal } from './goals.ts';
import type { Recall } from './orchestrator-agreement.ts';
import type { Operation } from './orchestrator-requests.ts';
import type { Soak } from './orchestrator-soak.ts';
import type { Side } from './orchestrator-world.ts';
import { medianOf, paired, type Cell, type Measured } from './rounds.ts';

export interface OrchestratorCell extends Cell {
  readonly path: Side;
  readonly operation: Operation;
}

export interface Outcome {
  readonly all: readonly Measured<OrchestratorCell>[];
  /** Absent where the database compares no vectors. */
  readonly recall?: Recall | undefined;
  readonly soak?: Soak | undefined;
}

const SINGLE: readonly Operation[] = [
  'create',
  'create_with_vector',
  'read_cold',
  'read_cached',
  'batch_read',
  'batch_read_cached',
];
const FEW_AND_MANY = [1, 16] as const;
const MANY = 16;
const FLAT_PERCENT = 3;

export function find(
  all: Outcome['all'],
  of: Pick<OrchestratorCell, 'operation' | 'clients' | 'path'>,
): Measured<OrchestratorCell> | undefined {
  return all.find(
    ({ cell }) => cell.operation === of.operation && cell.clients === of.clients && cell.path === of.path,
  );
}

/** How often the baseline's p50 goes into the orchestrator's; NaN where one was not measured. */
export function timesBare(all: Outcome['all'], operation: Operation, clients: number): number {
  const ours = find(all, { operation, clients, path: 'orchestrator' });
  const theirs = find(all, { operation, clients, path: 'bare SQL' });
  if (ours === undefined || theirs === undefined) return Number.NaN;
  return paired([ours, theirs], (left, right) => left.p50Ms / right.p50Ms);
}

export function orchestratorGoals({ all, recall, soak }: Outcome): Goal[] {
  const against = (operations: readonly Operation[], what: string, limit: number): Goal[] =>
    operations.flatMap((operation) =>
      FEW_AND_MANY.map((clients) =>
        atMost(
          `${operation}: p50 as a multiple of ${what}'s, ${clients} client(s)`,
          limit,
          timesBare(all, operation, clients),
        ),
      ),
    );
  const mixed = find(all, { operation: 'mixed', clients: MANY, path: 'orchestrator' });
  const worst = slowest(all);
  return [
    ...against(SINGLE, 'bare SQL', 1.6),
    ...against(['semantic', 'semantic_session'], 'a bare kNN', 2),
    atLeast(
      `mixed operations per second, ${MANY} clients`,
      1_000,
      mixed === undefined ? Number.NaN : medianOf(mixed, ({ perSecond }) => perSecond),
    ),
    atLeast('recall@10 of the index against exact search', 0.95, recall?.recall ?? Number.NaN),
    atMost(`highest p99 of any operation, ms, ${MANY} clients (${worst.operation})`, 100, worst.p99Ms),
    ...(soak === undefined
      ? []
      : [
          atMost(
            `soak: growth of the resident size in ${soak.minutes} minutes, percent`,
            FLAT_PERCENT,
            soak.growthPercent,
          ),
        ]),
  ];
}

function slowest(all: Outcome['all']): { operation: string; p99Ms: number } {
  return all
    .filter(({ cell }) => cell.path === 'orchestrator' && cell.clients === MANY)
    .map((measured) => ({
      operation: measured.cell.operation,
      p99Ms: medianOf(measured, ({ p99Ms }) => p99Ms),
    }))
    .reduce((worst, one) => (one.p99Ms > worst.p99Ms ? one : worst), { operation: 'none', p99Ms: 0 });
}
