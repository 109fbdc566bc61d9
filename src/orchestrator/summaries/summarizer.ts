import type { Logger } from 'pino';
import { messageOf } from '../../domain/errors.ts';
import type { Part } from '../part.ts';
import { type ChatModel, createChatModel } from './chat-model.ts';
import { extract } from './extract.ts';
import type { SummarySettings } from './settings.ts';

/** A summary, and who wrote it. */
export interface Summary {
  /** Storable as text. */
  readonly text: string;
  readonly method: 'extractive' | 'model';
  /** Absent for an extractive one. */
  readonly model?: string;
  /** The model was asked and did not deliver; the sentences are the texts' own. */
  readonly fell_back?: true;
}

export interface Summarizer extends Part {
  /** Summarises texts, the oldest first. */
  summarize(texts: readonly string[]): Promise<Summary>;
}

/** Extracts sentences, or asks a model where one is configured; when that fails, sentences do. */
export function createSummarizer(settings: SummarySettings, log: Pick<Logger, 'warn'>): Summarizer {
  const { sentences, chat } = settings;
  const model: ChatModel | undefined =
    chat.url === undefined ? undefined : createChatModel({ ...chat, url: chat.url });

  function extracted(texts: readonly string[]): Summary {
    return { text: storable(extract(texts, sentences)), method: 'extractive' };
  }

  return {
    async summarize(texts) {
      if (model === undefined || texts.length === 0) return extracted(texts);
      try {
        const text = storable(await model.summarize(texts));
        return { text, method: 'model', model: model.name };
      } catch (error) {
        log.warn({ model: model.name }, `The chat model failed, so the summary was extracted: ${messageOf(error)}`);
        return { ...extracted(texts), fell_back: true };
      }
    },
    start: async () => undefined,
    stop: async () => model?.stop(),
  };
}

/** Memories and models may bring what PostgreSQL cannot store; a summary can do without it. */
function storable(text: string): string {
  return text.replaceAll('\0', '').toWellFormed();
}
