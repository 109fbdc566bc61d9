import { confidenceOf, NO_EVIDENCE } from '../../../../src/engine/evidence/confidence.ts';
import type { ActionFacts, InterlockFacts } from '../../../../src/engine/guard/interlock-facts.ts';
import { NOTHING_FOUND } from '../../../../src/engine/ports/finding.ts';

/** The defaults of the settings. */
const LIMITS = { comparable: 3_000, notErrors: 300, mismatchRate: 0.001 };
const NO_TRAFFIC = { comparablePerDay: 0, notErrorsPerDay: 0, lanesPerDay: 0 };

export function actionWith(
  comparable: number,
  more: { readonly errors?: number; readonly mismatches?: number; readonly isAccepted?: boolean } = {},
): ActionFacts {
  const { errors = 0, mismatches = 0, isAccepted = false } = more;
  return {
    confidence: confidenceOf({ ...NO_EVIDENCE, comparable, errors, mismatches }, NO_TRAFFIC, LIMITS),
    isAccepted,
  };
}

/** A service that may do whatever its flags ask for. */
export function fineFacts(more: Partial<InterlockFacts> = {}): InterlockFacts {
  return {
    mode: 'enforce',
    asked: {
      'dual-write': 100,
      'shadow-read': 100,
      'read-cutover': 50,
      'write-cutover': 0,
      'legacy-read-only': 0,
    },
    answers: { legacy: true, orchestrator: true },
    coverage: { number: 7, replicas: 2, acting: 2 },
    versions: 1,
    lanes: { total: 10_000, unseeded: 0, isBackfillListed: true, unwell: 0, flipped: 0 },
    oldestDeliverySeconds: 0,
    unclassified: { requests: 0, isAccepted: false },
    reconciledAgoSeconds: 3_600,
    stores: { ...NOTHING_FOUND, full: { run: 3, lanes: 10_000, items: 50_000, notComparable: 0 } },
    addedP95Ms: 2,
    isRampHeld: false,
    latch: null,
    isKilled: false,
    actions: { get_context: actionWith(3_000) },
    writes: {
      comparableSinceFull: 3_000,
      comparableNeeded: 3_000,
      fullForSeconds: 86_400,
      soakSeconds: 86_400,
      isReverseProven: true,
      isFirstLaneNamed: false,
      openRollbacks: 0,
    },
    ends: {
      lanesNotFlipped: 0,
      reverseBacklog: 0,
      bypassedAgoSeconds: null,
      bypassFreeSeconds: 86_400,
    },
    ...more,
  };
}
