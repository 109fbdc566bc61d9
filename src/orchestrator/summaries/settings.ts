import { Type, type Static } from 'typebox';

/** How conversations are summarised: with their own sentences, or by a model if `chat.url` is set. */
export const SummarySettings = Type.Object(
  {
    sentences: Type.Integer({ minimum: 1, maximum: 50, default: 5 }),
    chat: Type.Object(
      {
        // URL of an endpoint with OpenAI's `POST /chat/completions`, such as https://api.openai.com/v1. Contents are sent there.
        url: Type.Optional(Type.String({ pattern: '^https?://.+' })),
        apiKey: Type.Optional(Type.String({ minLength: 1 })),
        model: Type.String({ minLength: 1, default: 'gpt-4o-mini' }),
        // For all attempts together, because the original clients wait 5 s.
        timeoutMs: Type.Integer({ minimum: 10, maximum: 60_000, default: 4_000 }),
        maxTries: Type.Integer({ minimum: 1, maximum: 10, default: 3 }),
      },
      { additionalProperties: false },
    ),
  },
  { additionalProperties: false },
);

export type SummarySettings = Static<typeof SummarySettings>;
