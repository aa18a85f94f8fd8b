"""Given names of people, and those that models replace by the name of the other language (`João` becomes `John`).

The lists are written by hand. They leave out names that are ordinary words, places or months in their language, such as
`Grace`, `Mark` and `Rosa`.
"""

from __future__ import annotations

_ENGLISH = """
    Aaron Abigail Adam Agnes Alan Albert Alexander Alexandra Alfred Alice Alison Amanda Amelia Amy Andrea Andrew
    Angela Anita Ann Anna Anne Annie Anthony Arthur Ashley Audrey Barbara Beatrice Benjamin Bernard Beth Betty
    Beverly Brenda Brian Bruce Carl Carla Carmen Caroline Carolyn Catherine Cecilia Charles Cheryl Chloe Christina
    Christine Christopher Claire Clara Colin Craig Cynthia Daniel David Deborah Denise Dennis Derek Diana Diane
    Donald Donna Doris Dorothy Douglas Edgar Edith Edmund Edward Edwin Eileen Elaine Eleanor Elena Elizabeth Ella
    Ellen Emily Emma Eric Erica Erin Ernest Esther Ethan Eugene Evelyn Fiona Frances Francis Franklin Frederick
    Gabriel Gareth Gary Geoffrey George Gerald Gladys Gloria Gordon Graham Gregory Hannah Harold Harriet Harry Helen
    Henry Herbert Howard Hugh Ian Irene Isaac Isabel Isabella Jacob Jacqueline James Jane Janet Janice Jason Jean
    Jeffrey Jennifer Jeremy Jessica Jill Joan Joanna Joe John Jonathan Joseph Joshua Joyce Juan Judith Julia Julian
    Julie Justin Karen Katherine Kathleen Kathryn Katie Keith Kelly Kenneth Kevin Kimberly Laura Lauren Laurence
    Lawrence Leonard Leslie Liam Linda Lisa Logan Lois Louis Louise Lucas Lucy Luis Luke Lydia Lynn Malcolm Marcus
    Margaret Maria Marie Marilyn Marion Marjorie Martha Martin Mary Matthew Maureen Megan Melanie Melissa Michael
    Michelle Mildred Monica Nancy Naomi Natalie Nathan Neil Nicholas Nicole Nigel Nina Noah Nora Norma Oliver Olivia
    Oscar Owen Pamela Patricia Patrick Paul Paula Pauline Peter Philip Phillip Phyllis Priya Rachel Ralph Raymond
    Rebecca Renee Richard Rita Robert Roger Ronald Rosie Roy Russell Ruth Ryan Samantha Samuel Sandra Sara Sarah
    Scott Sean Sharon Sheila Shirley Simon Sofia Sophia Sophie Stanley Stephanie Stephen Steven Stuart Susan Suzanne
    Sylvia Tamara Tammy Teresa Theodore Theresa Thomas Timothy Tina Tracy Valerie Vanessa Vera Veronica Vincent
    Walter Wayne Wendy William Yvonne Zoe
"""
_PORTUGUESE = """
    Adalberto Adriana Adriano Afonso Agostinho Alberto Alex Alexandra Alexandre Alice Aline Amanda Amélia Ana
    Anabela Anderson André Andréa Andreia Ângela Anita Anna Antônia Antônio António Arlindo Armando Arnaldo Artur
    Augusto Bárbara Beatriz Benedito Bernardo Bianca Bruna Bruno Caio Camila Carla Carlos Carmen Carolina Catarina
    Cecília Célia Celso César Cíntia Cláudia Cláudio Cleber Cristiano Cristina Daniel Daniela Davi David Débora
    Denise Diego Diogo Edson Eduarda Eduardo Elaine Eliana Elias Elisa Elisabete Elza Emanuel Emília Enzo Érica
    Ernesto Eunice Fabiana Fabiano Fábio Felipe Fernanda Fernando Filipa Filipe Flávia Flávio Francisca Francisco
    Frederico Gabriel Gabriela Geraldo Gilberto Gisele Giovana Gonçalo Guilherme Gustavo Heitor Helena Hélio
    Henrique Hugo Igor Inês Isabel Isabela Isabella Ivan Ivo Janaína Jaqueline João Joana Joaquim Jonas Jorge José
    Josefa Juliana Júlio Karina Kátia Laís Lara Larissa Laura Leandro Leonardo Leonor Letícia Lígia Liliana Lívia
    Lorena Lourenço Luana Lucas Luciana Luciano Lúcia Luís Luísa Luiz Luiza Manoel Manuel Manuela Marcela Marcelo
    Márcia Márcio Marco Marcos Margarete Maria Mariana Marília Mário Marta Martim Mateus Matheus Maurício Mauro
    Mercedes Michele Miguel Miriam Mônica Murilo Natália Nelson Nuno Olívia Orlando Otávio Patrícia Paula Paulo
    Pedro Priscila Rafael Rafaela Raimundo Raquel Regina Renata Renato Ricardo Roberta Roberto Rodrigo Rogério Rui
    Rute Ruth Sabrina Samuel Sandra Sara Sebastião Sérgio Sílvia Simão Simone Sofia Sônia Sophia Susana Tânia
    Tatiana Telma Teresa Teresinha Thaís Thiago Tiago Tomás Valentina Valéria Vanessa Vera Vicente Victor Vinícius
    Vítor Viviane Vitor Wagner Walter Wellington William Yasmin
"""
# A Portuguese given name, and the English ones that models put in its place.
_PAIRS = """
    João:John Maria:Mary Pedro:Peter Paulo:Paul José:Joseph Jorge:George Miguel:Michael Ana:Anna,Anne,Ann
    Marta:Martha Rute:Ruth Helena:Helen Lucas:Luke Tiago:James Antônio:Anthony António:Anthony Henrique:Henry
    Filipe:Philip,Phillip Felipe:Philip,Phillip Carlos:Charles Luís:Louis,Luis Ricardo:Richard Eduardo:Edward
    Roberto:Robert Francisco:Francis Alexandre:Alexander Catarina:Catherine Susana:Susan,Susanna Teresa:Theresa
    Tomás:Thomas Mateus:Matthew Marcos:Mark,Marcus Estêvão:Stephen Guilherme:William Joana:Joan,Joanna
    Joaquim:Joachim Isabel:Elizabeth Inês:Agnes André:Andrew Cristina:Christina Davi:David Elisabete:Elizabeth
    Emília:Emily Frederico:Frederick Gonçalo:Gonzalo Lourenço:Lawrence,Laurence Luísa:Louise,Luisa
    Madalena:Magdalene Manuel:Emmanuel Mário:Marius Patrícia:Patricia Rafael:Raphael Raquel:Rachel
    Rebeca:Rebecca Sara:Sarah Sofia:Sophia Vicente:Vincent Vítor:Victor Vitor:Victor Sônia:Sonia Lúcia:Lucy
    Júlia:Julia Júlio:Julius Beatriz:Beatrice Bernardo:Bernard Cecília:Cecilia Carolina:Caroline Diogo:James
    Gabriela:Gabrielle Leonor:Eleanor Martim:Martin Matilde:Matilda Simão:Simon
"""
ENGLISH = frozenset(_ENGLISH.split())
PORTUGUESE = frozenset(_PORTUGUESE.split())


def read_pairs() -> tuple[tuple[str, str], ...]:
    """Returns the pairs of a Portuguese and an English given name that models put in the place of each other."""
    rows = (pair.split(":") for pair in _PAIRS.split())
    return tuple((name, other) for name, others in rows for other in others.split(","))
