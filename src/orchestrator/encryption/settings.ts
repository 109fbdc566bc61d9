import { Type, type Static } from 'typebox';

const text = Type.Optional(Type.String({ minLength: 1 }));

/** Keys to encrypt contents before they are stored. Without a key they are stored in clear. */
export const EncryptionSettings = Type.Object(
  {
    keys: text,
    keysFile: text,
    resealRowsPerSecond: Type.Integer({ minimum: 0, default: 200 }),
  },
  { additionalProperties: false },
);

export type EncryptionSettings = Static<typeof EncryptionSettings>;
