import { AGENTS } from './agents.ts';
import { AUDIT } from './audit.ts';
import type { AnswerOf, AskedOf } from './endpoint.ts';
import { COMPARISONS } from './comparisons.ts';
import { ENDS } from './ends.ts';
import { EXPLAIN } from './explain.ts';
import { FLAGS } from './flags.ts';
import { FLIPS } from './flips.ts';
import { GUARD } from './guard.ts';
import { HISTORY } from './history.ts';
import { LANES } from './lanes.ts';
import { LEDGERS } from './ledgers.ts';
import { REPAIRS } from './repairs.ts';
import { REPORTS } from './reports.ts';
import { RESTORED } from './restored.ts';
import { ROLLBACKS } from './rollbacks.ts';
import { RULES } from './rules.ts';
import { RUNS } from './runs.ts';
import { STATUS } from './status.ts';

/** Every route of the operator's port, by its operation id. */
export const ENDPOINTS = {
  ...STATUS,
  ...FLAGS,
  ...FLIPS,
  ...EXPLAIN,
  ...LANES,
  ...LEDGERS,
  ...COMPARISONS,
  ...RULES,
  ...HISTORY,
  ...GUARD,
  ...RUNS,
  ...REPAIRS,
  ...RESTORED,
  ...ROLLBACKS,
  ...REPORTS,
  ...AGENTS,
  ...AUDIT,
  ...ENDS,
};

type Id = keyof typeof ENDPOINTS;

/** What the handler of an endpoint gets. */
export type Asked<Name extends Id> = AskedOf<(typeof ENDPOINTS)[Name]>;

/** The answer of an endpoint. */
export type Answered<Name extends Id> = AnswerOf<(typeof ENDPOINTS)[Name]>;
