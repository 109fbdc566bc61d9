import type { PartReadiness, Readiness } from '../operator/api/status.ts';
import type { ServiceName } from '../domain/ids.ts';
import type { ServiceStates } from '../engine/ends/service-states.ts';
import type { Migration } from '../engine/migration.ts';
import type { SpillStatus } from '../engine/spill/spill.ts';
import type { BackendLoad, Journal, Orchestrator } from '../engine/ports/ports.ts';
import type { ServiceRuntime } from '../engine/ports/service-runtime.ts';
import type { FlagSource } from '../rollout/flag-source.ts';
import { misspelling, missingFlags } from '../rollout/definition-store.ts';
import type { Database } from '../storage/database.ts';

export interface ReadinessParts {
  readonly database: Pick<Database, 'query'>;
  readonly flags: Pick<FlagSource, 'describe' | 'names'>;
  readonly migration: Pick<Migration, 'backlog' | 'mayWrite' | 'spillStatus'>;
  readonly orchestrator: Pick<Orchestrator, 'load'>;
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly journal: Pick<Journal, 'counts'>;
  readonly ends: { readonly states: Pick<ServiceStates, 'stateOf'> };
}

/**
 * Whether the proxy can serve agents, by part. A problem that is no reason to send agents elsewhere is ok, with the problem as
 * reason.
 */
export async function readinessOf(parts: ReadinessParts): Promise<Readiness> {
  const { flags, migration, orchestrator, services } = parts;
  const spill = migration.spillStatus();
  const journal = spill?.isSpilling === true ? spilling(spill) : await journalReadiness(parts);
  const legacy = [...services.values()].map(
    ({ name, legacy: backend }) =>
      [
        name,
        parts.ends.states.stateOf(name) === 'complete'
          ? { ok: true, reason: 'complete: legacy is not asked' }
          : legacyReadiness(backend.load('live')),
      ] as const,
  );
  return {
    journal,
    flags: flagsReadiness(flags, [...services.keys()]),
    // Legacy answers while the orchestrator is away. So this is reported too, but is no reason to send agents elsewhere.
    orchestrator: orchestratorReadiness(orchestrator),
    lanes: await lanesReadiness(parts),
    migration: { ok: true, reason: `${migration.backlog().deliveries} deliveries wait` },
    ...Object.fromEntries(legacy),
  };
}

/**
 * Stale flags never raise what is active, and missing flags are off. So both are reported, and the proxy stays ready.
 */
function flagsReadiness(flags: ReadinessParts['flags'], services: readonly ServiceName[]): PartReadiness {
  const { fresh, lastError } = flags.describe();
  const reason = fresh
    ? misspelling(missingFlags(flags.names(), services))
    : `stale: ${lastError ?? 'no answer yet'}`;
  return { ok: true, ...(reason !== undefined && { reason }) };
}

function legacyReadiness({ isConnected, breaker, queued }: BackendLoad): PartReadiness {
  if (!isConnected) return { ok: false, reason: 'no connection to its endpoint' };
  if (breaker === 'closed') return { ok: true };
  return { ok: false, reason: `its circuit breaker is ${breaker}, ${queued} wait` };
}

/** A database that answers may still take no writes: a standby, a full disk. */
async function journalReadiness({ database, migration }: ReadinessParts): Promise<PartReadiness> {
  try {
    await database.query('select 1');
  } catch {
    return { ok: false, reason: 'the database does not answer' };
  }
  return migration.mayWrite()
    ? { ok: true }
    : { ok: false, reason: 'the database takes no heartbeats: writes of this replica are refused' };
}

/** Agents are still served, as long as there is room. */
function spilling({ ageMs, writes, bytes, limitBytes }: SpillStatus): PartReadiness {
  const seconds = Math.round(ageMs / 1_000);
  const reason = `away for ${seconds} s: ${writes} writes are spilled, ${bytes} of ${limitBytes} bytes`;
  return { ok: bytes < limitBytes, reason };
}

/** The lanes that wait for a person. Their reads stay on legacy and their agents are served, so this is no outage. */
async function lanesReadiness({ journal, services, migration }: ReadinessParts): Promise<PartReadiness> {
  if (migration.spillStatus()?.isSpilling === true)
    return { ok: true, reason: 'not known: the journal is away' };
  try {
    const counts = await Promise.all([...services.keys()].map((service) => journal.counts(service)));
    const total = (of: 'stopped' | 'excepted' | 'differs' | 'deadLetters'): number =>
      counts.reduce((sum, each) => sum + each[of], 0);
    const [stopped, excepted, differs] = [total('stopped'), total('excepted'), total('differs')];
    const deadLetters = total('deadLetters');
    if (stopped + excepted + differs + deadLetters === 0) return { ok: true };
    return {
      ok: true,
      reason: `${stopped} lanes stopped, ${excepted} excepted, ${differs} different, ${deadLetters} dead letters`,
    };
  } catch {
    return { ok: true, reason: 'not known: the database does not answer' };
  }
}

function orchestratorReadiness(orchestrator: ReadinessParts['orchestrator']): PartReadiness {
  if (!orchestrator.load('live').isConnected) return { ok: true, reason: 'no connection to its endpoint' };
  const open = (['live', 'shadow', 'probe'] as const).filter(
    (purpose) => orchestrator.load(purpose).breaker !== 'closed',
  );
  return open.length === 0
    ? { ok: true }
    : { ok: true, reason: `it does not answer: circuit breaker open for ${open.join(', ')}` };
}
