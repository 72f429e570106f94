/** A JSON object of an OpenAPI document. */
export type Json = { [field: string]: unknown };
