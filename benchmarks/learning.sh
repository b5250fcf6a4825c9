#!/usr/bin/env bash
# What the learning room was measured by: sets, trainings, evaluations, tables.
#
#   benchmarks/learning.sh phantom     the comparison on phantoms: every row, then the table
#   benchmarks/learning.sh usgra       the same on real ultrasound, three folds
#   benchmarks/learning.sh forms       other forms of the student: branches, half resolution, wider
#   benchmarks/learning.sh ablation    which term of the distillation gives what
#   benchmarks/learning.sh labels      its gain against the number of labelled stills
#   benchmarks/learning.sh carry       do phantoms of arms teach what real nerves and vessels look like?
#   benchmarks/learning.sh shipped     the sets and the training of the student that ships; CLIPS, SCREENS: what is no view
#   benchmarks/learning.sh row phantom deeplab 1     one training and its evaluations
#   benchmarks/learning.sh int8 phantom student 1    the same of a student, and its INT8 form
#
# Run it from the repository's root with edge3vt on the PATH. What is finished is kept, and a training that was stopped
# goes on from its checkpoint. Records, each with every case's own numbers, land in benchmarks/results/learning; sets
# and weights in $OUT, which is not committed. Estimated at 16 hours of two CPU cores; not run whole yet.
set -euo pipefail

OUT=${OUT:-out/learning}
USGRA=${USGRA:-../shared/data/usgra-seg}
CLIPS=${CLIPS:-../shared/data/clips}
SCREENS=${SCREENS:-../shared/data/screens}
RESULTS=benchmarks/results/learning
SETS=$OUT/sets

there() { [ -e "$1/dataset.json" ]; }

sets_phantom() {
  there "$SETS/stills" || { edge3vt phantom "$SETS/stills" --cases 1300 --seed 10000000 --views 1 --annotator 5 --size 800x600
    edge3vt data split "$SETS/stills" --shares 0.85,0.15,0 --seed 1; }
  there "$SETS/cines" || edge3vt phantom "$SETS/cines" --cases 1200 --seed 11000000 --views 1 --cines 0.5 --rate 8 --unlabelled --size 800x600
  there "$SETS/test" || edge3vt phantom "$SETS/test" --cases 300 --seed 3000000 --views 1 --size 800x600
}

sets_usgra() {
  local fold
  for fold in 1 2 3; do
    there "$SETS/usgra-$fold" && continue
    edge3vt data import "$USGRA/train" "$SETS/usgra-$fold" --classes docs/usgra-seg.toml --patient-from file --keep-names
    edge3vt data split "$SETS/usgra-$fold" --fold "$fold/3"
  done
}

# sets_shipped: phantoms on screens of three sizes; six clips and six screens of other views, named here
sets_shipped() {
  local width each
  local -A sizes=([800]=800x600 [1024]=1024x768 [512]=512x512) cases=([800]=1000 [1024]=1200 [512]=800) seeds=([800]=14000000 [1024]=13000000 [512]=15000000)
  for width in 800 1024 512; do
    there "$SETS/ship-$width" && continue
    edge3vt phantom "$SETS/ship-$width" --cases "${cases[$width]}" --pictures 2 --seed "${seeds[$width]}" --size "${sizes[$width]}"
    edge3vt data split "$SETS/ship-$width" --shares 0.95,0.05,0 --seed 1
  done
  mkdir -p "$OUT/negative/clips" "$OUT/negative/screens/pictures"
  for each in 132943 133043 133138 133232 133327 133410; do
    cp "$CLIPS/Reg_pat1Image_$each.mpeg" "$OUT/negative/clips/"
  done
  for each in 4CH ABDOMINAL BRAIN-TV FEMUR KIDNEYS LVOT; do cp "$SCREENS/$each.png" "$OUT/negative/screens/pictures/"; done
  printf 'schema = 1\nclasses = ["background", "pulmonary_artery", "aortic_arch", "superior_vena_cava", "trachea", "spine"]\npictures = "pictures"\nmasks = ""\n' \
    > "$OUT/negative/screens/classes.toml"
  there "$SETS/negative-clips" || edge3vt data import "$OUT/negative/clips" "$SETS/negative-clips" \
    --format video --every 8 --keep-outside --patient-from file
  there "$SETS/negative-screens" || edge3vt data import "$OUT/negative/screens" "$SETS/negative-screens" \
    --keep-outside --patient-from file
}

# weights WHERE NAME RUN VERB RECIPE [OPTION ...]: train unless it is done; goes on from a checkpoint
weights() {
  local out=$OUT/$1/$2-$3 verb=$4 recipe=$5
  [ -e "$out/record.json" ] && return
  local again=--overwrite
  [ -e "$out/checkpoint.safetensors" ] && again=--resume
  edge3vt "$verb" "$recipe" -o "$out" $again "${@:6}"
  mkdir -p "$RESULTS/$1/trainings" && cp "$out/record.json" "$RESULTS/$1/trainings/$2-$3.json"
}

# judged WHERE ROW RUN MODEL SET [OPTION ...]: evaluate unless the record is there
judged() {
  local record=$RESULTS/$1/$2-$3.json judged=$OUT/judged/$1-$2-$3 split=test
  [ -e "$record" ] && return
  [ "$5" = "$SETS/test" ] && split=all
  edge3vt evaluate "$4" "$5" --split $split --name "$2" --seed "$3" -o "$judged" --overwrite "${@:6}"
  mkdir -p "$RESULTS/$1" && cp "$judged/record.json" "$record"
}

# RUN is a seed on phantoms, and a fold on real ultrasound
data_of() { [ "$1" = usgra ] && echo "$SETS/usgra-$2" || echo "$SETS/stills"; }
test_of() { [ "$1" = usgra ] && echo "$SETS/usgra-$2" || echo "$SETS/test"; }

# trained WHERE NAME RUN: its weights are there, and those it needs. WHERE is phantom, usgra, ablation: the phantoms in
# half the steps, or labels-N: the phantoms with N labelled ones only
trained() {
  local where=$1 name=$2 run=$3 w=$OUT/$1 data seed=1 few=()
  [ -e "$w/$name-$run/record.json" ] && return
  data=$(data_of "$where" "$run")
  [ "$where" = usgra ] || seed=$run
  [ "${where%-*}" = labels ] && few=(--set "patients=${where#labels-}")
  [ "$where" = ablation ] && few=(--set schedule.steps=12000)
  local options=(--data "$data" --seed "$seed" "${few[@]}")
  case $name in
    unet | deeplab | deeplab-imagenet) weights "$where" "$name" "$run" train "$name" "${options[@]}" ;;
    unet-crop | deeplab-crop | deeplab-imagenet-crop) # goes on from the whole region to squares around the structures
      trained "$where" "${name%-crop}" "$run"
      weights "$where" "$name" "$run" train "${name%-crop}" "${options[@]}" --init "$w/${name%-crop}-$run" \
        --set augmentation.close_share=1.0 --set "augmentation.closeness=[0.7, 1.0]" --set augmentation.shift=0.1 \
        --set schedule.steps=1000 --set schedule.learning_rate=5e-4 ;;
    student-m) weights "$where" "$name" "$run" train student-192 "${options[@]}" --set network=student-m ;;
    student | student-rep | student-half)
      weights "$where" "$name" "$run" train student-192 "${options[@]}" --set "network=student-s${name#student}" ;;
    *) # a distilled student: student-distilled, or one of the ablation
      local teacher=1 soft=soft t=$w
      options+=(--set "unlabelled=['$SETS/cines']")
      [ "$where" = usgra ] && { teacher=$run; options+=(--set "unlabelled=[]"); }
      [ "$where" = ablation ] && t=$OUT/phantom
      trained "${t#"$OUT"/}" deeplab-imagenet "$teacher"
      if [ "$name" = full-teacher ]; then soft=soft-full
      else
        trained "${t#"$OUT"/}" deeplab-imagenet-crop "$teacher"
        options+=(--set "teacher.crop=$t/deeplab-imagenet-crop-$teacher")
      fi
      mapfile -t -O "${#options[@]}" options < <(terms "$name")
      weights "$where" "$name" "$run" distill student-192-distilled "${options[@]}" \
        --set "teacher.full=$t/deeplab-imagenet-$teacher" --set "teacher.soft=$t/$soft-$teacher" ;;
  esac
}

# row WHERE NAME RUN: its records are there; what was recorded before is neither trained nor judged again
row() {
  local where=$1 name=$2 run=$3 network=$2 test options=()
  case $name in
    unet-crop | deeplab-crop | deeplab-imagenet-crop) options=(--crop track --locator "$OUT/$1/student-$3") ;;
    teacher-oracle) network=deeplab-imagenet-crop options=(--crop truth) ;;
    unet | deeplab | deeplab-imagenet) ;;
    *-track) network=${name%-track} options=(--crop track) ;;
    *) row "$where" "$name-track" "$run" ;; # students are judged both ways
  esac
  [ -e "$RESULTS/$where/$name-$run.json" ] && return
  trained "$where" "$network" "$run"
  [ "${options[2]:-}" = --locator ] && trained "$where" student "$run"
  judged "$where" "$name" "$run" "$OUT/$where/$network-$run" "$(test_of "$where" "$run")" "${options[@]}"
}

# int8 WHERE NAME RUN: the student in INT8, calibrated on its own training pictures; whole, and closer
int8() {
  local data folder=$OUT/int8/$1-$2-$3
  data=$(data_of "$1" "$3")
  row "$1" "$2" "$3"
  [ -e "$RESULTS/$1/$2-int8-track-$3.json" ] && return
  trained "$1" "$2" "$3"
  mkdir -p "$folder"
  edge3vt export "$OUT/$1/$2-$3" "$folder/student.onnx" --overwrite
  printf 'schema = 1\nname = "training"\nsource = "dataset"\npath = "%s"\nsplit = "train"\ncount = %s\ntrack_share = 0.4\n' \
    "$data" "$([ "$1" = usgra ] && echo 80 || echo 400)" > "$folder/set.toml"
  printf 'schema = 1\nname = "golden"\nsource = "dataset"\npath = "%s"\nsplit = "validation"\ncount = 15\n' \
    "$data" > "$folder/golden.toml"
  edge3vt calibrate "$folder/student.onnx" "$folder/set.toml" --method mse -o "$folder/table.json" --overwrite
  printf 'schema = 1\nname = "student-int8"\nmodel = "%s"\nprecision = "int8"\nruntime = "openvino"\ntable = "%s"\ngolden = "%s"\n[verify]\nmin_agreement = 0.98\nmin_dice = 0.8\nmax_peak_error = 0.3\n' \
    "$folder/student.onnx" "$folder/table.json" "$folder/golden.toml" > "$folder/recipe.toml"
  edge3vt build "$folder/recipe.toml" -o "$folder/engine" --overwrite
  judged "$1" "$2-int8" "$3" "$folder/engine" "$(test_of "$1" "$3")"
  judged "$1" "$2-int8-track" "$3" "$folder/engine" "$(test_of "$1" "$3")" --crop track
}

# terms NAME: what an ablated student is trained with, a word of options a line
terms() {
  local keep
  case $1 in
    student-distilled | full-teacher) return ;;
    stills-only) printf '%s\n' --set "unlabelled=[]" --set distillation.pseudo=0.0; return ;;
    only-pseudo) keep=pseudo=1.0 ;;
    only-kl) keep=kl=1.0 ;;
    only-cwd) keep=cwd=1.0 ;;
    only-dist) keep=dist=1.0 ;;
    pseudo-cwd) keep="pseudo=1.0 cwd=0.1" ;;
    kl-cwd-dist) keep="kl=1.0 boundary=1.0 small=0.5 dist=0.5 cwd=0.5" ;;
    kl-weighted) keep="kl=1.0 boundary=1.0 small=0.5" ;;
    kl-temporal) keep="kl=1.0 temporal=10.0" ;;
    *) echo "learning.sh: no row is named $1" >&2; exit 2 ;;
  esac
  local term
  for term in pseudo=0.0 kl=0.0 cwd=0.0 dist=0.0 temporal=0.0 boundary=0.0 small=0.0 $keep; do
    printf '%s\n' --set "distillation.$term"
  done
}

# table NAME BASELINE RECORD ...
table() {
  local each options=()
  for each in "${@:3}"; do options+=(--compare "$each"); done
  edge3vt evaluate "${options[@]}" --baseline "$2" -o "$OUT/tables/$1" --overwrite
  cp "$OUT/tables/$1/comparison.json" "$RESULTS/comparison-$1.json"
  cp "$OUT/tables/$1/comparison.md" "$RESULTS/comparison-$1.md"
}

HEAVY=(unet deeplab deeplab-imagenet unet-crop deeplab-crop deeplab-imagenet-crop teacher-oracle)
ABLATED=(only-pseudo only-kl only-cwd only-dist kl-cwd-dist kl-weighted kl-temporal pseudo-cwd full-teacher stills-only)

case ${1:-} in
  phantom)
    sets_phantom
    for name in student student-distilled; do for run in 1 2 3; do int8 phantom $name $run; done; done
    for name in "${HEAVY[@]}"; do row phantom "$name" 1; done
    table phantom student "$RESULTS"/phantom/*-[0-9].json ;;
  usgra)
    sets_usgra
    for run in 1 2 3; do
      for name in "${HEAVY[@]}"; do row usgra "$name" $run; done
      for name in student student-distilled; do int8 usgra $name $run; done
    done
    table usgra student "$RESULTS"/usgra/*-[0-9].json ;;
  forms)
    sets_phantom
    for name in student student-rep student-half student-m; do row phantom $name 1; done
    table forms student "$RESULTS"/phantom/student{,-rep,-half,-m}{,-track}-1.json ;;
  ablation)
    sets_phantom
    for name in student student-distilled "${ABLATED[@]}"; do row ablation "$name" 1; done
    table ablation student "$RESULTS"/ablation/*-1.json ;;
  labels)
    sets_phantom
    for few in 100 400; do for name in student student-distilled; do row labels-$few $name 1; done; done
    python -m edge3vt.bench.gain "$RESULTS" benchmarks/results/gain ;;
  carry)
    sets_usgra
    there "$SETS/arm" || { edge3vt phantom "$SETS/arm" --arm --cases 1300 --seed 12000000 --annotator 5 --size 640x512
      edge3vt data split "$SETS/arm" --shares 0.85,0.15,0 --seed 1; }
    weights carry arm 1 train student-192 --data "$SETS/arm"
    for run in 1 2 3; do
      real=$SETS/usgra-$run
      judged carry arm-0 $run "$OUT/carry/arm-1" "$real" --crop whole
      for few in 10 50 all; do
        options=()
        [ $few = all ] || options=(--set "patients=$few")
        weights carry scratch-$few $run train student-192 --data "$real" "${options[@]}"
        weights carry arm-$few $run train student-192 --data "$real" --init "$OUT/carry/arm-1" "${options[@]}"
        for name in scratch arm; do judged carry $name-$few $run "$OUT/carry/$name-$few-$run" "$real"; done
      done
    done
    table carry scratch-all "$RESULTS"/carry/*-[0-9].json ;;
  shipped)
    sets_shipped
    weights shipped student 1 train student \
      --set "data=['$SETS/ship-800', '$SETS/ship-1024', '$SETS/ship-512']" \
      --set "negatives=['$SETS/negative-clips', '$SETS/negative-screens']" ;;
  row | int8)
    if [ "$2" = usgra ]; then sets_usgra; else sets_phantom; fi
    "$1" "$2" "$3" "$4" ;;
  *) sed -n '3,12s/^# *//p' "$0" >&2; exit 2 ;;
esac
