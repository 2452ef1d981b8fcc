import time
def test_x(parts):
    for i in range(3):
        t=time.time(); c=parts.up(); print('up',time.time()-t)
        assert not [x for x in c if x.outcome=='failed']
        t=time.time(); parts.down(); print('down',time.time()-t)
def test_y(plant):
    pass
