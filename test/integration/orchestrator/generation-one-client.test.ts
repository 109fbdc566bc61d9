import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, afterEach, describe, expect, test } from 'vitest';
import { Request } from 'zeromq';
import { type Answer, answerOf, createStage, type TestOrchestrator } from '../../support/orchestrator.ts';
import { DATABASES } from '../../support/tier.ts';

const stage = createStage();
afterAll(() => stage.stop());

type Payload = Record<string, unknown>;

/**
 * Sends what the Python client of generation 1 sends, method by method, as that spells it: json.dumps with its spaces, a request_id
 * of eight hexadecimal digits, a local time with an offset, and `payload.metadata.agent_id` once it knows its agent. What it is given
 * no value for is not there. One strict REQ socket: after one lost reply it would be dead.
 */
class GenerationOneClient {
  sessionId: string | undefined;
  agentId: string | undefined;
  readonly #socket: Request;

  constructor(port: number) {
    this.#socket = new Request({ linger: 0, receiveTimeout: 25_000 });
    this.#socket.connect(`tcp://127.0.0.1:${port}`);
  }

  async #send(action: string, payload: Payload): Promise<Answer> {
    if (this.agentId !== undefined)
      payload['metadata'] = { ...(payload['metadata'] as Payload | undefined), agent_id: this.agentId };
    const request = {
      action,
      payload,
      request_id: `req-${randomUUID().slice(0, 8)}`,
      timestamp: new Date().toISOString().replace('Z', '000+00:00'),
      ...(action === 'create_session' ? {} : { session_id: this.sessionId }),
    };
    await this.#socket.send(pythonJson(request));
    const [reply] = await this.#socket.receive();
    const answer = answerOf(String(reply));
    expect(answer).toMatchObject({ action, request_id: request.request_id });
    return answer;
  }

  async createSession(payload: { user_id?: string; session_metadata?: object } = {}): Promise<Answer> {
    const answer = await this.#send('create_session', { session_type: 'conversation', ...payload });
    this.sessionId = answer.data.session_id;
    return answer;
  }
  endSession = (payload: { summary?: string; archive?: boolean } = {}) =>
    this.#send('end_session', { archive: false, ...payload });
  createMemory = (memory_type: string, content: object, more: Payload = {}) =>
    this.#send('create', { memory_type, content, priority: 5, ...more });
  getMemory = (memory_id: string) => this.#send('read', { memory_id });
  updateMemory = (memory_id: string, more: Payload) => this.#send('update', { memory_id, ...more });
  deleteMemory = (memory_id: string) => this.#send('delete', { memory_id });
  batchRead = (memory_ids?: string[], filter: Payload = {}) =>
    this.#send('batch_read', {
      ...(memory_ids !== undefined && { memory_ids }),
      filter: { ...filter, limit: 10, offset: 0, sort: { field: 'created_at', order: 'desc' } },
    });
  search = (query: string, filters: Payload = {}) =>
    this.#send('search', {
      query,
      search_type: 'hybrid',
      filters: { ...filters, min_similarity: 0.7, limit: 5 },
    });
  bulkDelete = (filter: Payload = {}) => this.#send('bulk_delete', { filter });
  summarize = (memory_type: string, more: Payload = {}) => this.#send('summarize', { memory_type, ...more });
  close = () => this.#socket.close();
}

/** As json.dumps writes it: ASCII, and a space behind colon and comma. */
function pythonJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(', ')}]`;
  if (typeof value === 'object' && value !== null)
    return `{${Object.entries(value)
      .map(([key, member]) => `${pythonJson(key)}: ${pythonJson(member)}`)
      .join(', ')}}`;
  const text = JSON.stringify(value) ?? 'null';
  return text.replaceAll(
    /[\u0080-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

describe.each(DATABASES)('the client of generation 1 on %s', (kind) => {
  let orchestrator: TestOrchestrator;
  let client: GenerationOneClient;
  beforeAll(async () => {
    orchestrator = await stage.start(kind);
  });
  beforeEach(() => {
    client = new GenerationOneClient(orchestrator.port);
  });
  afterEach(() => client.close());

  const content = {
    text: 'User asked about the weather in Zürich 🌧',
    source_agent: 'language_understanding_agent',
    metadata: { intent: 'weather_query', confidence: 0.95 },
  };
  const success = async (answer: Promise<Answer>): Promise<Answer> => {
    const { status, error } = await answer;
    expect({ status, error }).toEqual({ status: 'success', error: undefined });
    return answer;
  };

  test('works completely, from the first session to the last', async () => {
    await success(
      client.createSession({ session_metadata: { device_info: 'Windows PC', location: 'Home' } }),
    );
    expect(client.sessionId).toMatch(/^session-/);
    const { data } = await success(
      client.createMemory('conversation', content, { tags: ['weather', 'query'], ttl: 3600 }),
    );
    const read = await success(client.getMemory(data.memory_id));
    expect(read.data).toMatchObject({ content, tags: ['weather', 'query'], priority: 5 });
    await success(
      client.updateMemory(data.memory_id, {
        content: { ...content, text: 'Weather in Bern' },
        tags: ['city'],
      }),
    );
    await success(client.updateMemory(data.memory_id, { ttl: 7200, priority: 9 }));
    const page = await success(client.batchRead([data.memory_id, 'mem-00000000']));
    expect(page.data).toMatchObject({
      memories: [{ content: { text: 'Weather in Bern' }, priority: 9, tags: ['city'] }],
      total_count: 1,
      page_info: { limit: 10, offset: 0, has_more: false },
    });
    const filter = {
      memory_type: 'conversation',
      tags: ['city'],
      time_range: { start: '2020-01-01T00:00:00Z' },
    };
    expect((await success(client.batchRead(undefined, filter))).data['total_count']).toBe(1);
    const found = await success(client.search('weather', { memory_types: ['conversation'], tags: ['city'] }));
    expect(found.data['results']).toBeInstanceOf(Array);
    const summary = await success(client.summarize('conversation'));
    expect(summary.data).toMatchObject({ summary: 'Weather in Bern', memory_count: 1, time_range: {} });
    await success(
      client.summarize('conversation', { time_range: { start: '2020-01-01', end: '2999-01-01' } }),
    );
    await success(client.deleteMemory(data.memory_id));
    expect((await client.getMemory(data.memory_id)).error.code).toBe('memory_not_found');
    await success(client.createMemory('agent_state', { text: 'a' }, { tags: ['old'] }));
    const deleted = await success(
      client.bulkDelete({ memory_type: 'agent_state', older_than: '2999-01-01T00:00:00Z', tags: ['old'] }),
    );
    expect(deleted.data['deleted_count']).toBe(1);
    await success(client.bulkDelete());
    const ended = await success(client.endSession({ summary: 'User asked about weather', archive: true }));
    expect(ended.data).toMatchObject({ session_id: client.sessionId, is_archived: true });
  });

  test('can name its agent in the metadata of every payload', async () => {
    client.agentId = 'planner';
    await success(client.createSession({ user_id: 'ann' }));
    const { data } = await success(client.createMemory('user_preference', { text: 'tea' }));
    await success(client.getMemory(data.memory_id));
    await success(client.updateMemory(data.memory_id, { priority: 1 }));
    await success(client.batchRead());
    await success(client.search('tea'));
    await success(client.summarize('user_preference'));
    await success(client.deleteMemory(data.memory_id));
    await success(client.bulkDelete());
    await success(client.endSession());
  });

  test('keeps its socket through every refusal', async () => {
    client.sessionId = 'never-made';
    expect((await client.createMemory('conversation', content)).error.code).toBe('session_not_found');
    expect((await client.createMemory('conversation', content, { priority: 11 })).error.code).toBe(
      'validation_error',
    );
    expect((await client.getMemory('mem-00000000')).error.code).toBe('memory_not_found');
    expect((await client.endSession()).error.code).toBe('session_not_found');
    await success(client.createSession());
  });
});
