"""Types that all layers share: errors, flags, languages, scripts, spans, decoding options and usage. Imports no other
package of the server.
"""
