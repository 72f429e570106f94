// The viewer's script, which comes before this one, makes this function.
/** @type {any} */ (window).SwaggerUIBundle({ url: '/openapi.json', dom_id: '#api', deepLinking: true });
