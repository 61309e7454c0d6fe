"""`tables fetch`: tables from published files, a file for each benchmark; `offers` names them."""
