import { randomUUID } from 'node:crypto';
import {
  laneKeyOf,
  memoryIdOf,
  operationId,
  type Owner,
  serviceName,
  sessionIdOf,
} from '../../../src/domain/ids.ts';
import { encodeJson, type JsonObject, rawMembers } from '../../../src/domain/json.ts';
import { positionOf } from '../../../src/domain/lane.ts';
import type {
  OrchestratorAnswer,
  OrchestratorRead,
  OrchestratorWrite,
  PrimaryResult,
  PrimaryWrite,
} from '../../../src/domain/orchestrator-call.ts';
import { type Message, parseRequest, readText } from '../../../src/domain/request.ts';
import type {
  LegacyAccess,
  LegacyItem,
  MappedRead,
  PrimaryFacts,
  ServiceDefinition,
  StoredMemory,
  WriteAction,
} from '../../../src/domain/service-definition.ts';
import { findNamed, nameItems } from '../../../src/engine/items/copy-plan.ts';
import { readContents } from '../../../src/engine/items/lane-contents.ts';
import type { OrchestratorClient } from '../../support/orchestrator.ts';

interface Parts {
  readonly definition: ServiceDefinition;
  readonly orchestrator: Pick<OrchestratorClient, 'send'>;
  /** Sends a request to the legacy service. */
  readonly legacy: (text: string) => Promise<string>;
  readonly access: LegacyAccess;
  /** @defaultValue UTC */
  readonly timeZone?: string;
}

/** Who made a reply. */
type Answering = 'orchestrator' | 'legacy' | 'proxy';

interface Answered {
  readonly reply: string;
  readonly by: Answering;
}

interface FlippedLane {
  readonly owner: Owner;
  readonly key: string;
  sequence: number;
}

const LIMITS = { messageBytes: 4 * 1024 * 1024, jsonDepth: 500 };
const GENERATION = 1;

/**
 * A service whose lanes all have the orchestrator as primary, without an engine: one request after the other. A lane is copied from
 * legacy before its first request, and legacy gets each write that the orchestrator has applied.
 */
export class FlippedService {
  readonly #parts: Parts;
  readonly #lanes = new Map<Owner, FlippedLane>();
  /** Requests that legacy did not apply after the orchestrator had. */
  readonly notReversed: string[] = [];

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  async ask(text: string): Promise<Answered> {
    const { definition } = this.#parts;
    const parsed = parseRequest(Buffer.from(text), LIMITS);
    if (!parsed.ok) return { reply: definition.dialect.error('bad_input', parsed.detail), by: 'proxy' };
    const action = definition.actions[String(parsed.message.fields['action'])];
    if (action === undefined || action.kind === 'passthrough') return this.#relay(text);
    const issued = action.kind === 'write' ? action.issueOwner?.(parsed.message, randomUUID) : undefined;
    const request = issued === undefined ? parsed.message : readText(issued);
    const owner = action.owner(request);
    if (owner === undefined) return this.#relay(text);
    const lane = await this.#laneOf(owner);
    if (action.kind === 'write')
      return { reply: await this.#write(action, request, lane), by: 'orchestrator' };
    if (action.legacyOnly !== undefined) return this.#relay(text);
    return { reply: await this.#readReply(action, request, owner), by: 'orchestrator' };
  }

  /** Each lane's items on both sides, as the definition shows them, in order. What legacy forgets by itself is left out. */
  async stores(): Promise<Record<string, { readonly orchestrator: unknown[]; readonly legacy: unknown[] }>> {
    const { lanes } = this.#parts.definition;
    const stores: Record<string, { orchestrator: unknown[]; legacy: unknown[] }> = {};
    for (const owner of this.#lanes.keys()) {
      const legacy = await lanes.readLegacy(owner, this.#parts.access, this.#context);
      const listed = (await this.#listed(owner)).map(({ fields }) => fields);
      stores[owner] = { orchestrator: this.#kept(listed), legacy: legacy.items.map(({ fields }) => fields) };
    }
    return stores;
  }

  #kept(listed: readonly LegacyItem['fields'][]): LegacyItem['fields'][] {
    const { retention } = this.#parts.definition.lanes;
    const isCounted = (fields: LegacyItem['fields']): boolean => retention.counts?.(fields) ?? true;
    let over = listed.filter(isCounted).length - (retention.entries ?? Infinity);
    return listed.filter((fields) => !isCounted(fields) || --over < 0);
  }

  get #context() {
    return { timeZone: this.#parts.timeZone ?? 'UTC' };
  }

  async #relay(text: string): Promise<Answered> {
    return { reply: await this.#parts.legacy(text), by: 'legacy' };
  }

  async #laneOf(owner: Owner): Promise<FlippedLane> {
    const known = this.#lanes.get(owner);
    if (known !== undefined) return known;
    const key = laneKeyOf(serviceName(this.#parts.definition.name), owner);
    const lane = { owner, key, sequence: 0 };
    this.#lanes.set(owner, lane);
    await this.#copy(lane);
    return lane;
  }

  async #copy({ owner, key }: FlippedLane): Promise<void> {
    const { definition, access } = this.#parts;
    const source = await definition.lanes.readLegacy(owner, access, this.#context);
    const sessionId = this.#sessionOf(owner);
    const operations = source.items.map((item, index): OrchestratorWrite => {
      const identity = {
        memory_id: `copy-${randomUUID()}`,
        position: positionOf(0, index + 1),
        created_at: item.at,
      };
      const payload = { ...definition.lanes.createPayload(item, owner), ...identity, create_session: true };
      return { action: 'create', sessionId, payload };
    });
    if (operations.length > 0)
      await this.#send(
        'batch_write',
        { operations: operations.map(onWire) },
        { lane: { key, generation: GENERATION, sequence: 0 } },
      );
  }

  async #write(action: WriteAction, request: Message, lane: FlippedLane): Promise<string> {
    const { asPrimary } = action;
    if (asPrimary === undefined) throw new Error('the write has no asPrimary');
    lane.sequence += 1;
    const { sequence } = lane;
    const operation = operationId(randomUUID());
    const named = await this.#namedBy(action, request, lane.owner);
    const facts = {
      request,
      owner: lane.owner,
      sessionId: this.#sessionOf(lane.owner),
      acceptedAt: new Date().toISOString(),
      items: findNamed(named, await this.#listedFor(action, lane.owner)) ?? [],
      position: (index = 0) => positionOf(sequence, index),
      memoryId: (index = 0) => memoryIdOf(operation, index),
      context: this.#context,
    };
    const answers: OrchestratorAnswer[] = [];
    for (;;) {
      const write: PrimaryFacts = { ...facts, answers: [...answers] };
      const plan = asPrimary.plan(write);
      if ('reply' in plan) return plan.reply;
      if ('next' in plan) answers.push(...(await this.#reads(plan.next)));
      else {
        const fence = { key: lane.key, generation: GENERATION, sequence, operation_id: operation };
        const result = await this.#writePrimary(plan, fence);
        // As after an answer that was lost on the way.
        const again = asPrimary.answer(await this.#writePrimary(plan, fence), write);
        const reply = asPrimary.answer(result, write);
        if (again !== reply)
          throw new Error(`a repeat of ${request.text} was answered with ${again}, not ${reply}`);
        if ('results' in result) await this.#reverse(action, request, { owner: lane.owner, named });
        return reply;
      }
    }
  }

  async #writePrimary({ requires, operations }: PrimaryWrite, lane: object): Promise<PrimaryResult> {
    const payload = {
      requires: requires.map((one) =>
        'session' in one
          ? { session: one.session, session_id: one.sessionId }
          : { memory: one.memory, memory_id: one.memoryId },
      ),
      operations: operations.map(onWire),
    };
    const { data, text } = await this.#send('batch_write', payload, { lane });
    if (!('results' in data || 'refused' in data)) throw new Error(`the fence refused a write: ${text}`);
    return data as PrimaryResult & JsonObject;
  }

  async #namedBy({ names }: WriteAction, request: Message, owner: Owner) {
    if (names === undefined) return [];
    const items = (await this.#listed(owner)).map(({ fields, memory }) => itemOf(fields, memory));
    const lane = { exists: true, items };
    return nameItems(lane, names.find(request, lane));
  }

  async #listedFor({ names }: WriteAction, owner: Owner) {
    return names === undefined ? [] : this.#listed(owner);
  }

  async #reverse(
    action: WriteAction,
    request: Message,
    { owner, named }: { readonly owner: Owner; readonly named: ReturnType<typeof nameItems> },
  ): Promise<void> {
    const { definition, access, legacy } = this.#parts;
    let text: string | undefined = request.text;
    if (action.names !== undefined) {
      const lane = await definition.lanes.readLegacy(owner, access, this.#context);
      // Every place of each item: the newest of equal ones comes last.
      const places = lane.items.map((_, index) => ({ index, named: nameItems(lane, [index])[0] }));
      const found = named.flatMap(
        (one) =>
          places.find((place) => place.named?.digest === one.digest && place.named.newer === one.newer)
            ?.index ?? [],
      );
      text = action.toLegacy?.({ request, owner, places: found }, lane);
    }
    if (text === undefined) return;
    const outcome = action.outcome(readText(await legacy(text)), readText(text));
    if (outcome !== 'applied') this.notReversed.push(text);
  }

  async #readReply(action: MappedRead, request: Message, owner: Owner): Promise<string> {
    const sessionId = this.#sessionOf(owner);
    const answers: OrchestratorAnswer[] = [];
    let reads = action.toOrchestrator(request, sessionId);
    for (;;) {
      answers.push(...(await this.#reads(reads)));
      const answer = action.fromOrchestrator(answers, { request, sessionId, context: this.#context });
      if ('reply' in answer) return answer.reply;
      reads = answer.next;
    }
  }

  async #reads(reads: readonly OrchestratorRead[]): Promise<OrchestratorAnswer[]> {
    const answers: OrchestratorAnswer[] = [];
    for (const { action, sessionId, payload } of reads)
      answers.push(await this.#send(action, payload, { session_id: sessionId }));
    return answers;
  }

  async #listed(owner: Owner) {
    const read = ({ action, sessionId, payload }: OrchestratorRead) =>
      this.#send(action, payload, { session_id: sessionId });
    const { lanes } = this.#parts.definition;
    const options = () => ({ purpose: 'probe' as const, deadlineAtMs: Infinity });
    return (await readContents({ orchestrator: { read }, sessionId: this.#sessionOf(owner), lanes, options }))
      .listed;
  }

  async #send(action: string, payload: object, envelope: object): Promise<OrchestratorAnswer> {
    const answer = await this.#parts.orchestrator.send(encodeJson({ action, ...envelope, payload }));
    if (answer.status !== 'success') throw new Error(`the orchestrator refused ${action}: ${answer.text}`);
    return { data: answer.data, text: rawMembers(answer.text)['data'] ?? '{}' };
  }

  #sessionOf(owner: Owner) {
    return sessionIdOf(this.#parts.definition.lanes.sessionPrefix, owner);
  }
}

function onWire({ action, sessionId, payload }: OrchestratorWrite): object {
  return { action, session_id: sessionId, payload };
}

function itemOf(fields: LegacyItem['fields'], { created_at: at }: StoredMemory): LegacyItem {
  return { fields, timestamp: at, at };
}
