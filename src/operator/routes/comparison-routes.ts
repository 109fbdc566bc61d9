import type { FastifyInstance } from 'fastify';
import type { ServiceName } from '../../domain/ids.ts';
import type { SignatureSightings } from '../../engine/compare/comparison-stores.ts';
import type { RuleReport } from '../../engine/compare/rule-book.ts';
import type { ComparisonReport } from '../../engine/compare/verdicts.ts';
import type { PrintedReport, RuleInForce } from '../api/comparisons.ts';
import { ENDPOINTS } from '../api/endpoints.ts';
import { knownService } from '../known-service.ts';
import { shownSignature } from '../shown-signature.ts';
import { serve } from './serve.ts';

export interface ComparisonRouteParts {
  readonly services: readonly ServiceName[];
  report(service: ServiceName): ComparisonReport;
  /** Most frequent first. @throws StorageError */
  signatures(service: ServiceName): Promise<readonly SignatureSightings[]>;
}

/** Facts that decide a service's comparisons (coverage, noise, clock and rules), and the signatures of its differences. */
export function registerComparisonRoutes(app: FastifyInstance, parts: ComparisonRouteParts): void {
  serve(app, ENDPOINTS.showComparisons, ({ params }) => {
    const service = knownService(params.service, parts.services);
    return { service, ...printedReport(parts.report(service)) };
  });
  serve(app, ENDPOINTS.listSignatures, async ({ params }) => {
    const service = knownService(params.service, parts.services);
    return { service, signatures: (await parts.signatures(service)).map(shownSignature) };
  });
}

/** As `GET /v1/services/<service>/comparisons` shows it. */
export function printedReport(report: ComparisonReport): PrintedReport {
  const { actions, rules, clockOffset, wholeLanes, differencesUngrouped } = report;
  const { seconds, measuredFrom, refused } = clockOffset;
  return {
    clock_offset: {
      seconds,
      measured_from: measuredFrom,
      ...(refused !== undefined && { not_subtracted: refused }),
    },
    actions: Object.fromEntries(
      Object.entries(actions).map(([action, { coverage, repeats, noise }]) => [
        action,
        {
          comparable: coverage.comparable,
          error_pairs: coverage.errorPairs,
          paths: coverage.paths,
          paths_never_compared: coverage.neverCompared,
          error_cases: coverage.errorCases,
          error_cases_never_compared: coverage.errorCasesNeverCompared,
          lanes: coverage.lanes,
          giant_lane: coverage.giant ?? null,
          repeats,
          noise,
        },
      ]),
    ),
    actions_never_compared: Object.entries(actions)
      .filter(([, { coverage }]) => coverage.comparable === 0)
      .map(([action]) => action),
    whole_lanes: { lanes: wholeLanes.lanes, ...wholeLanes.verdicts },
    differences_ungrouped: differencesUngrouped,
    rules: rules.map(printedRule),
  };
}

function printedRule({ action, rule, id, isExpired, hits, lastHitAtMs }: RuleReport): RuleInForce {
  return {
    id: id ?? null,
    action,
    ...rule,
    expired: isExpired,
    hits,
    last_hit_at: lastHitAtMs === undefined ? null : new Date(lastHitAtMs).toISOString(),
  };
}
