import { AGENTS } from './agents.ts';
import { AUDIT } from './audit.ts';
import { FLAGS } from './flags.ts';
import { LANES } from './lanes.ts';
import { LEDGERS } from './ledgers.ts';
import { RULES } from './rules.ts';

/** Every route of the operator's port, by its operation id. */
export const ENDPOINTS = { ...FLAGS, ...LANES, ...LEDGERS, ...RULES, ...AGENTS, ...AUDIT };
