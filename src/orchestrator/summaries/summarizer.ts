import type { Logger } from 'pino';
import { messageOf } from '../../domain/errors.ts';
import type { Part } from '../part.ts';
import { type ChatModel, createChatModel } from './chat-model.ts';
import { extract } from './extract.ts';
import type { SummarySettings } from './settings.ts';

/** A summary, and how it was made. */
export interface Summary {
  /** Storable as text. */
  readonly text: string;
  readonly method: 'extractive' | 'model';
  /** Absent for an extractive one. */
  readonly model?: string;
  /** The model failed, so sentences were extracted. */
  readonly fell_back?: true;
}

export interface Summarizer extends Part {
  /** Summarises texts, given oldest first. */
  summarize(texts: readonly string[]): Promise<Summary>;
}

/** Uses a model if one is configured. Otherwise, or if the model fails, extracts sentences. */
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
        log.warn(
          { model: model.name },
          `The chat model failed, so the summary was extracted: ${messageOf(error)}`,
        );
        return { ...extracted(texts), fell_back: true };
      }
    },
    start: async () => undefined,
    stop: async () => model?.stop(),
  };
}

/** Removes characters that PostgreSQL cannot store; a summary does not need them. */
function storable(text: string): string {
  return text.replaceAll('\0', '').toWellFormed();
}
