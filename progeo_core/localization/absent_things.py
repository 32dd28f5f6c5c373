"""Texts about things that are in no map of a site, to compare the scores of words with."""

ABSENT_THINGS = tuple(
    """a giraffe in the savanna
an elephant at a river
a shark under water
a coral reef with fish
penguins on an iceberg
a kangaroo in the desert
a tiger in the jungle
a horse on a race track
a flock of sheep on a hill
a cat asleep on a pillow
a dog with a ball
a bowl of fruit salad
a pizza with mushrooms
a plate of sushi
a birthday cake with candles
a glass of red wine
a wedding dress
a baby in a cradle
a ballet dancer on a stage
a violin and a bow
a rock concert at night
a football match in a stadium
a swimmer in a race
a surfer on a wave
a skier on a steep slope
a hot air balloon in the sky
a rocket at its launch
an astronaut on the moon
the rings of Saturn
a galaxy with many stars
a volcano that erupts
lightning over the sea
a tornado in a field
a waterfall in a forest
a sailing boat at sunset
a submarine under ice
a steam locomotive on a bridge
a fighter jet above clouds
a camel in front of a pyramid
the Eiffel tower
a medieval castle on a rock
a Japanese temple in autumn
an igloo in the snow
a tent in the mountains
a beach with palm trees
a field of sunflowers
a butterfly on a flower
a spider in its web
a honey bee close up
a snake around a branch
an owl at night
a dinosaur skeleton
an oil painting of a queen
a page of a comic book
a map of the world
a chess board during a game
a pile of gold coins
a pair of ballet shoes
a cell under a microscope""".splitlines()
)
