/**
 * GraphiQL's stylesheets one by one. Its `graphiql/style.css` has two web fonts inside as `data:` URLs, 350 KB of them,
 * and Monaco's styles, which Monaco brings along itself.
 */

import '@graphiql/react/style.css';
import '@graphiql/plugin-doc-explorer/style.css';
import '@graphiql/plugin-history/style.css';
import 'graphiql/graphiql.css';
import './style.css';
