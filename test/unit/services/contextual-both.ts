import { expect } from 'vitest';
import { parseOwner, type Owner } from '../../../src/domain/ids.ts';
import { compareReplies } from '../../../src/engine/compare/compare-replies.ts';
import { ContextualStore } from '../../../src/sandbox/contextual-store.ts';
import { dumpPythonJson, dumpPythonJsonFile } from '../../../src/sandbox/python-json.ts';
import { parsePythonJson } from '../../../src/sandbox/python-json-parser.ts';
import type { PythonMap, PythonValue } from '../../../src/sandbox/python-values.ts';
import { CONTEXT_RULES } from '../../../src/services/contextual-memory/context.ts';
import { contextualMemory } from '../../../src/services/contextual-memory/contextual-memory.ts';
import { Delivered } from './memory-list.ts';

const NO_SUMMARY = `{"status": "error", "message": "'NoneType' object has no attribute 'get'"}`;
export const OWNER = parseOwner('s') as Owner;

export const entry = (type: unknown, content: unknown, metadata?: unknown): string =>
  JSON.stringify({ action: 'add_interaction', session_id: 's', type, content, metadata });
export const decide = (decision: unknown): string =>
  JSON.stringify({ action: 'record_decision', session_id: 's', decision });
export const ask = (maxTokens?: unknown): string =>
  JSON.stringify({ action: 'get_context', session_id: 's', max_tokens: maxTokens });

/** The service beside its mapping: every request goes to the stand-in's store and to the orchestrator's list. */
export class Both {
  delivered = new Delivered(contextualMemory);
  readonly store: ContextualStore;
  fileText = '{}';
  #nowMs = 1_795_226_190_000;

  constructor() {
    const save = (value: PythonValue): void => {
      this.fileText = dumpPythonJsonFile(value).text;
    };
    const file = { load: () => undefined, save };
    this.store = new ContextualStore({ file, maxEntries: 50, clock: () => this.#nowMs });
  }

  write(text: string): void {
    this.#nowMs += 1_000;
    const query = parsePythonJson(text) as PythonMap;
    const value = (key: string): PythonValue => query.get(key) ?? null;
    if (value('action') === 'record_decision')
      this.store.recordDecision(value('session_id'), value('decision'));
    else {
      const interaction = { type: value('type'), content: value('content'), metadata: value('metadata') };
      this.store.addInteraction(value('session_id'), interaction);
    }
    this.delivered.write(text, new Date(this.#nowMs).toISOString());
  }

  /** As the engine copies a lane: what legacy does not show is forgotten, or replaced. */
  async copy(): Promise<void> {
    const lane = await this.lane();
    const { sequence, list } = this.delivered;
    list.memories = list.memories.filter(
      (memory) => contextualMemory.lanes.derivedFieldsOf?.(memory) === undefined,
    );
    list.forget();
    list.copy(lane, OWNER, contextualMemory, sequence);
  }

  lane() {
    const access = { jsonFile: () => Promise.resolve(this.fileText) };
    return contextualMemory.lanes.readLegacy(OWNER, access, { timeZone: 'UTC' });
  }

  /** Both answers to one request, which must agree. */
  expectAgreement(text: string): void {
    const summary = this.store.readSummary(
      's',
      (parsePythonJson(text) as PythonMap).get('max_tokens') ?? null,
    );
    const legacy = summary === null ? NO_SUMMARY : dumpPythonJson(summary);
    const orchestrator = this.delivered.read(text);
    const { comparison } = compareReplies({ legacy, orchestrator, rules: CONTEXT_RULES });
    expect({ ...comparison, legacy, orchestrator }).toMatchObject({ verdict: 'match' });
    expect(Object.keys(JSON.parse(orchestrator) as object)).toEqual(
      Object.keys(JSON.parse(legacy) as object),
    );
  }
}
