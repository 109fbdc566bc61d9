import { memoryIdOf, operationId, sessionIdOf, type Owner } from '../../../src/domain/ids.ts';
import { encodeJson, Json, parseTolerantly, type JsonObject } from '../../../src/domain/json.ts';
import { positionOf } from '../../../src/domain/lane.ts';
import type {
  OrchestratorAnswer,
  OrchestratorRead,
  OrchestratorWrite,
} from '../../../src/domain/orchestrator-call.ts';
import { Message } from '../../../src/domain/request.ts';
import type {
  LegacyLane,
  MappedRead,
  ServiceDefinition,
  StoredMemory,
  WriteAction,
} from '../../../src/domain/service-definition.ts';

interface Filter {
  readonly memory_type?: string;
  readonly tags?: readonly string[];
  readonly limit?: number;
  readonly offset?: number;
  readonly position_below?: number;
  readonly sort?: { readonly order: 'asc' | 'desc' };
}

export function message(text: string): Message {
  return new Message(text, parseTolerantly(text) as JsonObject);
}

/** An orchestrator as small as a test needs: one list, with the calls that service definitions make. */
export class MemoryList {
  memories: (StoredMemory & { readonly sessionId: string })[] = [];
  readonly sessions = new Map<string, JsonObject>();
  reads = 0;

  apply(writes: readonly OrchestratorWrite[]): void {
    for (const { action, sessionId, payload } of writes) {
      const fields = parseTolerantly(encodeJson(payload)) as JsonObject;
      if (action === 'create') this.#create(sessionId, payload, fields);
      else if (action === 'bulk_delete') {
        const filter = fields['filter'] as Filter;
        this.memories = this.memories.filter((memory) => !matches(memory, sessionId, filter));
      } else this.sessions.set(sessionId, fields);
    }
  }

  #create(sessionId: string, payload: Readonly<Record<string, unknown>>, fields: JsonObject): void {
    const text = (name: string): string => fields[name] as string;
    const tags = fields['tags'] as readonly string[];
    for (const tag of tags) if (tag === '' || tag.length > 64) throw new Error('a tag is out of bounds');
    const content = encodeJson(payload['content']);
    const source_agent = null;
    this.memories.push({
      memory_id: text('memory_id'),
      memory_type: text('memory_type'),
      tags,
      position: fields['position'] as number,
      created_at: text('created_at'),
      content,
      source_agent,
      sessionId,
    });
  }

  read({ sessionId = '' as never, payload }: OrchestratorRead): OrchestratorAnswer {
    this.reads += 1;
    const filter = payload['filter'] as Filter;
    const { limit = 50, offset = 0, sort } = filter;
    const found = this.memories
      .filter((memory) => matches(memory, sessionId, filter))
      .sort((a, b) => (sort?.order === 'desc' ? b.position - a.position : a.position - b.position));
    const page = found.slice(offset, offset + limit);
    const text = encodeJson({
      memories: page.map((memory) => ({ ...memory, content: new Json(memory.content) })),
      total_count: null,
      page_info: { limit, offset, has_more: found.length > offset + limit },
    });
    return { text, data: parseTolerantly(text) as JsonObject };
  }

  /** What a copy of the lane leaves behind that began with nothing on the orchestrator. */
  copy(lane: LegacyLane, owner: Owner, { lanes }: ServiceDefinition, sequence = 0): void {
    const sessionId = sessionIdOf(lanes.sessionPrefix, owner);
    const items = [...lane.items, ...(lane.derived ?? [])];
    const writes = items.map((item, index): OrchestratorWrite => {
      const identity = {
        memory_id: `copy-${sequence}-${index}`,
        position: positionOf(sequence, index + 1),
        created_at: item.at,
      };
      return { action: 'create', sessionId, payload: { ...lanes.createPayload(item, owner), ...identity } };
    });
    this.apply(writes);
  }

  /** Marks every item of the lane as forgotten. */
  forget(): void {
    this.memories = this.memories.map((memory) => ({ ...memory, tags: [...memory.tags, 'forgotten'] }));
  }
}

function matches(
  memory: StoredMemory & { readonly sessionId: string },
  sessionId: string,
  { memory_type, tags = [], position_below = Number.POSITIVE_INFINITY }: Filter,
): boolean {
  return (
    memory.sessionId === sessionId &&
    (memory_type === undefined || memory.memory_type === memory_type) &&
    tags.every((tag) => memory.tags.includes(tag)) &&
    memory.position < position_below
  );
}

/** One lane-by-lane delivery and reading of a service. Times are arguments: writes are a second apart. */
export class Delivered {
  readonly list = new MemoryList();
  readonly definition: ServiceDefinition;
  readonly timeZone: string;
  sequence = 0;

  constructor(definition: ServiceDefinition, timeZone = 'UTC') {
    this.definition = definition;
    this.timeZone = timeZone;
  }

  write(text: string, acceptedAt = new Date(1_795_226_191_000 + this.sequence * 1_000).toISOString()): void {
    const request = message(text);
    const action = this.#actionOf(request) as WriteAction;
    const owner = action.owner(request);
    if (owner === undefined) throw new Error(`no owner: ${text}`);
    this.sequence += 1;
    const sequence = this.sequence;
    const id = operationId(`00000000-0000-4000-8000-${String(sequence).padStart(12, '0')}`);
    this.list.apply(
      action.toOrchestrator(
        {
          request,
          owner,
          items: [],
          sessionId: sessionIdOf(this.definition.lanes.sessionPrefix, owner),
          acceptedAt,
          position: (index = 0) => positionOf(sequence, index),
          memoryId: (index = 0) => memoryIdOf(id, index),
        },
        { timeZone: this.timeZone },
      ),
    );
  }

  read(text: string): string {
    const request = message(text);
    const action = this.#actionOf(request) as MappedRead;
    const owner = action.owner(request);
    if (owner === undefined) throw new Error(`no owner: ${text}`);
    const sessionId = sessionIdOf(this.definition.lanes.sessionPrefix, owner);
    const answers: OrchestratorAnswer[] = [];
    let reads = action.toOrchestrator(request, sessionId);
    for (;;) {
      answers.push(...reads.map((read) => this.list.read(read)));
      const facts = { request, sessionId, context: { timeZone: this.timeZone } };
      const answer = action.fromOrchestrator(answers, facts);
      if ('reply' in answer) return answer.reply;
      reads = answer.next;
    }
  }

  #actionOf(request: Message) {
    return this.definition.actions[String(request.fields['action'])];
  }
}

/** The fields of every item that belongs to the lane's list, in the order of positions. */
export function listedFields(list: MemoryList, { lanes }: ServiceDefinition): unknown[] {
  return [...list.memories]
    .sort((a, b) => a.position - b.position)
    .map((memory) => lanes.fieldsOf(memory))
    .filter((fields) => fields !== undefined);
}
