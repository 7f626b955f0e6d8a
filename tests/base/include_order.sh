#!/bin/sh
# Each folder of the runtime includes only itself and those above it in the table of docs/design.md.
#   include_order.sh SOURCES
sources=$1
order=$(sed -n 's,^| `runtime/\([a-z]*\)/` .*,\1,p' "$sources/docs/design.md" | tr '\n' ' ')
allowed=" "
failed=0
for folder in $order; do
  allowed="$allowed$folder "
  for file in "$sources/runtime/$folder"/*.[ch]; do
    for other in $(sed -n 's,^#include "\([a-z]*\)/.*,\1,p' "$file" | sort -u); do
      case " $order" in *" $other "*) ;; *) continue ;; esac # the interfaces, or helpers for operators
      case "$allowed" in *" $other "*) ;; *)
        echo "$file: $folder/ stands before $other/, but includes from it"
        failed=1 ;;
      esac
    done
  done
done
for folder in "$sources"/runtime/*/; do
  name=$(basename "$folder")
  case "$allowed include " in *" $name "*) ;; *)
    echo "runtime/$name/ is not in the table of docs/design.md"
    failed=1 ;;
  esac
done
exit $failed
