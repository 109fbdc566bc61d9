import { type SessionId, sessionIdOf, type Owner } from '../../domain/ids.ts';
import type { OrchestratorWrite } from '../../domain/orchestrator-call.ts';
import type { LaneDefinition, LegacyItem } from '../../domain/service-definition.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Orchestrator, OrchestratorOptions } from '../ports/ports.ts';
import type { ServiceRuntime } from '../ports/service-runtime.ts';
import { callsOf } from './copy-calls.ts';
import { positionOf } from '../../domain/lane.ts';
import { pairItems, type ItemPair, type ListedMemory } from '../items/copy-plan.ts';
import { readContents } from '../items/lane-contents.ts';

interface Retimed {
  readonly lanes: LaneDefinition;
  readonly sessionId: SessionId;
}

/** The writes that give delivered items legacy's times. Each has an effect only on the version of its item that was compared. */
export function retimesOf(pairs: readonly ItemPair[], { lanes, sessionId }: Retimed): OrchestratorWrite[] {
  return pairs.flatMap(({ memory, item }): OrchestratorWrite[] => {
    const payload = lanes.retime?.(memory, item);
    if (payload === undefined) return [];
    const { memory_id, version: if_version } = memory;
    return [
      { action: 'update', sessionId, payload: { ...payload, memory_id, if_version, suppress_events: true } },
    ];
  });
}

/** Whether a write of a copy only changes the time of an item. */
export function isRetime({ action, payload }: OrchestratorWrite): boolean {
  return action === 'update' && payload['created_at'] !== undefined;
}

/** A lane that was found equal on both sides. */
interface LookedAtLane {
  readonly service: ServiceRuntime;
  readonly owner: Owner;
  /** The last write that both sides had. */
  readonly sequence: number;
  /** What legacy showed. */
  readonly items: readonly LegacyItem[];
}

export interface LegacyTimesParts {
  readonly orchestrator: Pick<Orchestrator, 'read' | 'batchWrite'>;
  readonly clock: Clock;
  /** Longest time of one call, milliseconds. */
  readonly timeoutMs: number;
}

/** Gives delivered items legacy's times after a comparison. After a failure, the next look at the lane tries again. */
export class LegacyTimes {
  readonly #parts: LegacyTimesParts;

  constructor(parts: LegacyTimesParts) {
    this.#parts = parts;
  }

  /** Never rejects. */
  async takeOver(lane: LookedAtLane, listed?: readonly ListedMemory[]): Promise<void> {
    const { lanes } = lane.service.definition;
    if (lanes.retime === undefined) return;
    const sessionId = sessionIdOf(lanes.sessionPrefix, lane.owner);
    try {
      const existing = listed ?? (await this.#listed({ lanes, sessionId }, lane.sequence));
      const retimes = retimesOf(pairItems({ source: lane.items, existing }), { lanes, sessionId });
      await this.#write(retimes);
    } catch {
      // The orchestrator did not answer, or an item has changed since.
    }
  }

  /** Agents may have written since. Legacy did not show these items. */
  async #listed(session: Retimed, sequence: number): Promise<readonly ListedMemory[]> {
    const { orchestrator } = this.#parts;
    const { listed } = await readContents({ ...session, orchestrator, options: () => this.#options() });
    return listed.filter(({ memory }) => memory.position < positionOf(sequence + 1));
  }

  /** Sent without the lane's fence, which lets only deliveries and copies pass. The version of each item protects it instead. */
  async #write(retimes: readonly OrchestratorWrite[]): Promise<void> {
    const versioned = retimes.filter(({ payload }) => payload['if_version'] !== undefined);
    if (versioned.length === 0) return;
    for (const call of callsOf(versioned)) await this.#parts.orchestrator.batchWrite(call, this.#options());
  }

  #options(): OrchestratorOptions {
    const { clock, timeoutMs } = this.#parts;
    return { purpose: 'probe', deadlineAtMs: clock.now() + timeoutMs };
  }
}
