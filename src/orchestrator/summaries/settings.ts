import { Type, type Static } from 'typebox';

/** How conversations are summarised: by their own sentences, or by a model when `chat.url` is given. */
export const SummarySettings = Type.Object(
  {
    sentences: Type.Integer({ minimum: 1, maximum: 50, default: 5 }),
    chat: Type.Object(
      {
        // Of an endpoint that speaks OpenAI's `POST /chat/completions`, such as https://api.openai.com/v1. Content goes there.
        url: Type.Optional(Type.String({ pattern: '^https?://.+' })),
        apiKey: Type.Optional(Type.String({ minLength: 1 })),
        model: Type.String({ minLength: 1, default: 'gpt-4o-mini' }),
        // For all tries together: the original clients wait 5 s.
        timeoutMs: Type.Integer({ minimum: 10, maximum: 60_000, default: 4_000 }),
        maxTries: Type.Integer({ minimum: 1, maximum: 10, default: 3 }),
      },
      { additionalProperties: false },
    ),
  },
  { additionalProperties: false },
);

export type SummarySettings = Static<typeof SummarySettings>;
